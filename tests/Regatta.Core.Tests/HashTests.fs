module Regatta.Core.Tests.HashTests

open System
open System.Threading
open Expecto
open FsCheck.FSharp
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Testing

type private Row = { Key: string; Create: int64; Modified: int64; Version: int64; Value: string }

/// Rows as a table shows them, without a table.
type private Rows(rows: Row list) =
    interface ITableView with
        member _.Revision = 0L
        member _.TryGetHeader(_, _) = failtest "not asked for"
        member _.TryGet(_, _, _) = failtest "not asked for"
        member _.Dispose() = ()

        member _.Scan range =
            Expect.equal (range.Kind, range.Start.Length) (KeyRangeKind.From, 0) "all keys, the empty one too"
            let mutable left = rows
            let mutable at = Unchecked.defaultof<Row>

            { new ITableCursor with
                member _.MoveNext() =
                    match left with
                    | row :: rest ->
                        at <- row
                        left <- rest
                        true
                    | [] -> false

                member _.Key = (bytes at.Key).Span
                member _.Value = (bytes at.Value).Span
                member _.Header = RecordHeader(at.Create, at.Modified, at.Version)
                member _.Dispose() = () }

let private hash rows = TableHash.Of(new Rows(rows), CancellationToken.None)

let private row = { Key = "key"; Create = 2L; Modified = 300L; Version = 4L; Value = "value" }

let private hashOf (table: TableUnderTest) =
    use view = table.Store.OpenView()
    TableHash.Of(view, CancellationToken.None)

let private after commands =
    let table = TableUnderTest()
    table.Apply commands |> ignore
    table

let private rows =
    let text = Gen.elements [ ""; "a"; "b"; "ab"; "ba"; "value" ]
    let number = Gen.elements [ 1L; 2L; 255L; 256L; Int64.MaxValue ]

    let row =
        gen {
            let! key = text
            let! create = number
            let! modified = number
            let! version = number
            let! value = text
            return { Key = key; Create = create; Modified = modified; Version = version; Value = value }
        }

    Gen.choose (0, 3) |> Gen.bind (fun length -> Gen.listOfLength length row)

let tests =
    testList
        "the hash of a table"
        [ testCase "changes with any key, value, revision and version, and with the number of records" (fun () ->
              let others =
                  [ []
                    [ row; row ]
                    [ { row with Key = "kez" } ]
                    [ { row with Value = "valuf" } ]
                    [ { row with Create = 3L } ]
                    [ { row with Modified = 301L } ]
                    [ { row with Version = 5L } ]
                    [ { row with Create = 300L; Modified = 2L } ]
                    [ { row with Key = "keyv"; Value = "alue" } ]
                    [ { row with Key = "ke"; Value = "yvalue" } ] ]

              let all = [ row ] :: others |> List.map hash
              Expect.hasLength (List.distinct all) (List.length all) "different hashes")

          Property.test
              "is equal for equal records and differs for others"
              (Scale.pick 2_000 100_000)
              (Gen.zip rows rows)
              (fun _ -> Seq.empty)
              (fun (first, second) -> Expect.equal (hash first = hash second) (first = second) "hashes as the records")

          testCase "does not depend on how the records came about" (fun () ->
              let together = after [ doing [ putOp "a" "1"; putOp "b" "2" ]; put "a" "3" ]
              let apart = TableUnderTest()

              for command in [ doing [ putOp "b" "2"; putOp "a" "0"; putOp "a" "1" ]; put "a" "3" ] do
                  apart.One command |> ignore

              // A put of the same key twice in one revision counts as two in its version.
              Expect.notEqual (hashOf apart) (hashOf together) "a version differs"
              let other = TableUnderTest()

              for command in [ doing [ putOp "b" "2"; putOp "a" "1" ]; put "a" "3"; delete (single "none"); DummyCommand() ] do
                  other.One command |> ignore

              Expect.equal (hashOf other) (hashOf together) "other entries, another order within a revision, a later revision of the table")

          testCase "is that of no bytes for an empty table" (fun () ->
              let expected = IO.Hashing.XxHash128.HashToUInt128(ReadOnlySpan<byte>.Empty, 0L)
              Expect.equal (hashOf (TableUnderTest())) (TableHash expected) "a new one"
              Expect.equal (hashOf (after [ put "a" "1"; delete everything ])) (TableHash expected) "one that was emptied")

          testCase "stays as it was, or nodes of two versions could not be compared" (fun () ->
              Expect.equal
                  (string (hash [ row; { row with Key = "longer"; Value = "" } ]))
                  "58367b14b4eefeadd5cc08ee42b85a99"
                  "as the first version had it")

          testCase "can be given up half way" (fun () ->
              use cancelled = new CancellationTokenSource()
              cancelled.Cancel()

              Expect.throwsT<OperationCanceledException> (fun () -> TableHash.Of(new Rows([ row ]), cancelled.Token) |> ignore) "cancelled") ]
