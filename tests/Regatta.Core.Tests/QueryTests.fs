module Regatta.Core.Tests.QueryTests

open System
open System.Threading
open Expecto
open Regatta.Core
open Regatta.Core.Tests.Build

/// Keys a to e, whose records count 1 + 51 + 48 = 100 bytes each; an answer costs 32. Made by the first test that needs it: a table
/// that does not work fails tests, not the start of the test program.
let private filled =
    lazy
        (let table = TableUnderTest()
         table.Apply [ for key in [ "a"; "b"; "c"; "d"; "e" ] -> put key (String('v', 51)) ] |> ignore
         table)

let private all = RangeQuery(everything, 0L, false, false)

let private pages (query: RangeQuery) bytes =
    use view = filled.Value.Store.OpenView()
    use reader = new RangeReader(view, query, bytes)
    let next () = reader.NextPage() |> Option.ofObj |> Option.map (fun page -> page, ())
    [ for page in List.unfold next () -> String.concat "" [ for r in page.Records -> text r.Key ], page.More, page.Count ]

let private paging =
    [ testCase "a page holds what fits to the byte" (fun () ->
          Expect.equal (pages all 332) [ "abc", true, 3L; "de", false, 2L ] "three records"
          Expect.equal (pages all 331) [ "ab", true, 2L; "cd", true, 2L; "e", false, 1L ] "one byte less"
          Expect.equal (pages all 532) [ "abcde", false, 5L ] "exactly all")

      testCase "a page that is smaller than a record holds one record" (fun () ->
          Expect.equal (pages all 1) [ "a", true, 1L; "b", true, 1L; "c", true, 1L; "d", true, 1L; "e", false, 1L ] "pages")

      testCase "the limit caps all pages together, and more says whether one further key matches" (fun () ->
          let limited limit = pages (RangeQuery(everything, limit, false, false)) 232
          Expect.equal (limited 4L) [ "ab", true, 2L; "cd", true, 2L ] "one further key"
          Expect.equal (limited 5L) [ "ab", true, 2L; "cd", true, 2L; "e", false, 1L ] "none"
          Expect.equal (limited 1L) [ "a", true, 1L ] "the first only")

      testCase "an empty answer is one empty page" (fun () ->
          Expect.equal (pages (RangeQuery(interval "x" "z", 0L, false, false)) 100) [ "", false, 0L ] "a range"
          Expect.equal (pages (RangeQuery(interval "c" "a", 0L, false, false)) 100) [ "", false, 0L ] "an inverted range"
          Expect.equal (pages (RangeQuery(single "x", 0L, false, false)) 100) [ "", false, 0L ] "a key")

      testCase "keys only takes less room and shows no values" (fun () ->
          Expect.equal (pages (RangeQuery(everything, 0L, true, false)) (32 + 5 * 49)) [ "abcde", false, 5L ] "pages"
          use view = filled.Value.Store.OpenView()
          let page = TableQueries.Range(view, RangeQuery(everything, 0L, true, false), PageSize.Default, CancellationToken.None)
          Expect.all page.Records (fun record -> record.Value.IsEmpty) "values")

      testCase "a count is of the whole range, whatever the page, and stops at the limit" (fun () ->
          Expect.equal (pages (RangeQuery(everything, 0L, false, true)) 1) [ "", false, 5L ] "all"
          Expect.equal (pages (RangeQuery(everything, 4L, false, true)) 1) [ "", true, 4L ] "with a limit"
          Expect.equal (pages (RangeQuery(everything, 5L, false, true)) 1) [ "", false, 5L ] "with a limit that just suffices"
          Expect.equal (pages (RangeQuery(single "a", 0L, false, true)) 1) [ "", false, 1L ] "of a key")

      testCase "revision filters come before the limit, both ends included" (fun () ->
          let filtered = RangeQuery(everything, 2L, false, false, MinModRevision = 2L, MaxModRevision = 4L)
          Expect.equal (pages filtered 1000) [ "bc", true, 2L ] "mod revisions"
          let created = RangeQuery(everything, 0L, false, false, MinCreateRevision = 4L, MaxCreateRevision = 4L)
          Expect.equal (pages created 1000) [ "d", false, 1L ] "create revisions"
          Expect.equal (pages (RangeQuery(single "a", 0L, false, false, MinModRevision = 2L)) 1000) [ "", false, 0L ] "a single key")

      testCase "the pages of one reader show one moment" (fun () ->
          let table = TableUnderTest()
          table.Apply [ put "a" "1"; put "b" "1" ] |> ignore
          use view = table.Store.OpenView()
          use reader = new RangeReader(view, all, 1)
          let key () = reader.NextPage() |> Option.ofObj |> Option.map (fun page -> [ for r in page.Records -> text r.Key, text r.Value ])
          Expect.equal (key ()) (Some [ "a", "1" ]) "first"
          table.Apply [ put "aa" "2"; put "b" "2" ] |> ignore
          Expect.equal (key ()) (Some [ "b", "1" ]) "second, after a write"
          Expect.equal (key ()) None "no third"
          Expect.equal (key ()) None "and none after that")

      testCase "a reader whose caller has given up stops" (fun () ->
          use view = filled.Value.Store.OpenView()
          use source = new CancellationTokenSource()
          use reader = new RangeReader(view, RangeQuery(everything, 0L, false, true), 100, source.Token)
          source.Cancel()
          Expect.throwsT<OperationCanceledException> (fun () -> reader.NextPage() |> ignore) "cancelled")

      testCase "readers and views leave nothing open" (fun () ->
          pages all 100 |> ignore
          Expect.equal filled.Value.Memory.OpenHandles 0 "open handles") ]

let private points =
    let point key (query: RangeQuery) =
        let read = filled.Value.Store.Get((bytes key).Span, true)
        let page = TableQueries.Point(&read, query)
        [ for r in page.Records -> text r.Key, r.Header.ModRevision, r.Value.Length ], page.More, page.Count

    [ testCase "a point read answers a query for a single key" (fun () ->
          Expect.equal (point "b" (RangeQuery(single "b", 0L, false, false))) ([ "b", 2L, 51 ], false, 1L) "found"
          Expect.equal (point "x" (RangeQuery(single "x", 0L, false, false))) ([], false, 0L) "missing"
          Expect.equal (point "b" (RangeQuery(single "b", 0L, true, false))) ([ "b", 2L, 0 ], false, 1L) "keys only"
          Expect.equal (point "b" (RangeQuery(single "b", 0L, false, true))) ([], false, 1L) "count only"
          Expect.equal (point "b" (RangeQuery(single "b", 0L, false, false, MaxModRevision = 1L))) ([], false, 0L) "filtered out")

      testCase "a point read does not answer for a range" (fun () ->
          Expect.throwsT<InvalidOperationException> (fun () -> point "b" all |> ignore) "a range") ]

let private transactions =
    [ testCase "a read-only transaction answers from the view, at its revision" (fun () ->
          use view = filled.Value.Store.OpenView()
          let exists key = Compare(single key, CompareOperator.Equal, CompareTarget.Exists, ReadOnlyMemory.Empty, 0L)

          let evaluate compares =
              TableQueries.Evaluate(view, txn compares [ rangeOp (single "a") ] [ rangeOp (single "b"); rangeOp (single "x") ])

          let taken, other = evaluate [ exists "a" ], evaluate [ exists "x" ]
          Expect.equal (taken.Revision, taken.Succeeded, [ for r in taken.Responses -> keysOf r ]) (5L, true, [ [ "a" ] ]) "success"
          Expect.equal (other.Succeeded, [ for r in other.Responses -> keysOf r ]) (false, [ [ "b" ]; [] ]) "failure"
          let empty = TableQueries.Evaluate(view, txn [] [] [])
          Expect.equal (empty.Revision, empty.Succeeded, empty.Responses.Length) (5L, true, 0) "no operations")

      testCase "a transaction that writes is not evaluated" (fun () ->
          use view = filled.Value.Store.OpenView()
          Expect.throwsT<ArgumentException> (fun () -> TableQueries.Evaluate(view, txn [] [] [ putOp "a" "" ]) |> ignore) "a put") ]

let tests = testList "reading" (paging @ points @ transactions)
