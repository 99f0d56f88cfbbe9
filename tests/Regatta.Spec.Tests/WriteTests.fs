/// wire.md 1.3 and 0, design.md 2: the sentences about puts, deletes and the revision.
module Regatta.Spec.Tests.WriteTests

open Expecto
open Regatta.Spec
open Regatta.Spec.Tests.Build

let private puts =
    testList
        "a put"
        [ testCase "of a new key creates it at its revision, as version 1" (fun () ->
              Expect.equal (get (after [ Command.Dummy; put "a" "1" ]) "a") (Some(entry "1" 2L 2L 1L)) "a")

          testCase "of an existing key keeps create_revision, moves mod_revision and raises the version" (fun () ->
              let state = after [ put "a" "1"; put "b" "1"; put "a" "2" ]
              Expect.equal (get state "a") (Some(entry "2" 1L 3L 2L)) "a"
              Expect.equal (get state "b") (Some(entry "1" 2L 2L 1L)) "b is left alone")

          testCase "of the value that is there already is a change like any other" (fun () ->
              Expect.equal (get (after [ put "a" "1"; put "a" "1" ]) "a") (Some(entry "1" 1L 2L 2L)) "a")

          testCase "may put an empty value, which is not a missing key" (fun () ->
              Expect.equal (get (after [ put "a" "" ]) "a") (Some(entry "" 1L 1L 1L)) "a")

          testCase "after a delete creates the key anew" (fun () ->
              Expect.equal (get (after [ put "a" "1"; put "a" "2"; delete "a"; put "a" "3" ]) "a") (Some(entry "3" 4L 4L 1L)) "a")

          testCase "returns prev_kv only if asked and only if the key existed" (fun () ->
              let state = after [ put "a" "1" ]
              Expect.equal (response state (putPrev "a" "2")) (Response.Put(Some(kv "a" (entry "1" 1L 1L 1L)))) "asked, existed"
              Expect.equal (response state (putPrev "x" "2")) (Response.Put None) "asked, did not exist"
              Expect.equal (response state (put "a" "2")) (Response.Put None) "not asked") ]

let private deletes =
    let three = after [ put "a" "1"; put "b" "2"; put "c" "3" ]
    let range = KeyRange.between (b "a") (b "c")
    let deleting prevKv count = response three (Command.Delete { Range = range; PrevKv = prevKv; Count = count })
    let pairs = [ kv "a" (entry "1" 1L 1L 1L); kv "b" (entry "2" 2L 2L 1L) ]

    testList
        "a delete"
        [ testCase "removes the keys of its range and no others" (fun () ->
              let state = run [ Command.Delete(deleteOp range) ] three
              Expect.equal (Table.content state) [ kv "c" (entry "3" 3L 3L 1L) ] "what is left"
              Expect.equal (Table.content (run [ delete "b" ] three) |> List.map _.Key) (texts [ "a"; "c" ]) "a single key"
              Expect.isEmpty (Table.content (run [ Command.Delete(deleteOp KeyRange.all) ] three)) "all keys")

          testCase "says 0 deleted unless count or prev_kv is asked for" (fun () ->
              Expect.equal (deleting false false) (Response.Delete(0L, [])) "neither"
              Expect.equal (deleting false true) (Response.Delete(2L, [])) "count")

          testCase "with prev_kv returns every deleted pair, in key order, and their number" (fun () ->
              Expect.equal (deleting true false) (Response.Delete(2L, pairs)) "prev_kv"
              Expect.equal (deleting true true) (Response.Delete(2L, pairs)) "both")

          testCase "of many large pairs returns them all" (fun () ->
              let large = Bytes.Repeat(1uy, 64 * 1024)
              let commands = [ for n in 1000..1099 -> Command.Put { Key = b (string n); Value = large; PrevKv = false } ]

              match response (after commands) (Command.Delete { Range = KeyRange.all; PrevKv = true; Count = false }) with
              | Response.Delete(100L, pairs) ->
                  Expect.equal (pairs |> List.map _.Key) (texts [ for n in 1000..1099 -> string n ]) "6 MiB of pairs"
              | other -> failtestf "deleted %A" other)

          testCase "of an inverted range deletes nothing" (fun () ->
              let inverted = KeyRange.between (b "c") (b "a")
              let state, reply = Table.apply three (Command.Delete { Range = inverted; PrevKv = true; Count = true })
              Expect.equal reply.Response (Response.Delete(0L, [])) "the reply"
              Expect.equal state.Entries three.Entries "the data") ]

let private revisions =
    let takesOne name command =
        testCase $"{name} gets exactly one revision" (fun () ->
            let state = after [ put "a" "1" ]
            let next, reply = Table.apply state command
            Expect.equal (next.Revision, reply.Revision) (2L, 2L) "revision 2, in state and reply")

    testList
        "the table revision"
        [ testCase "of a new table is 0" (fun () -> Expect.equal empty.Revision 0L "no command yet")
          takesOne "a put" (put "b" "1")
          takesOne "a delete" (delete "a")
          takesOne "a delete of nothing" (delete "x")
          takesOne "a dummy" Command.Dummy
          takesOne "a transaction of several puts" (txn [] [ opPut "a" "2"; opPut "b" "2" ] [])
          takesOne "a transaction whose taken branch is empty" (txn [ compareKey "x" Relation.Equal Operand.Exists ] [ opPut "x" "1" ] [])
          takesOne "a transaction whose taken branch only reads" (txn [] [ opGet "a" ] [ opPut "x" "1" ])
          takesOne "a transaction whose taken branch deletes nothing" (txn [] [ opDelete "x" ] [])

          testCase "starts again in a new incarnation, which knows nothing of the old one" (fun () ->
              let old = after [ put "a" "1"; put "b" "1" ]
              let fresh = Table.recreate 2L old
              Expect.equal fresh.Incarnation { old.Incarnation with Number = 2L } "the incarnation"
              Expect.equal fresh.Revision 0L "the revision"
              Expect.isEmpty (Table.content fresh) "the data"
              Expect.equal (get (run [ put "a" "2" ] fresh) "a") (Some(entry "2" 1L 1L 1L)) "its first put"
              Expect.equal (Changelog.since 1L fresh.Changelog) (Ok []) "its changelog")

          testCase "starts again only under a higher number" (fun () ->
              Expect.throwsT<System.ArgumentException> (fun () -> Table.recreate 1L empty |> ignore) "the same number") ]

let tests = testList "writes" [ puts; deletes; revisions ]
