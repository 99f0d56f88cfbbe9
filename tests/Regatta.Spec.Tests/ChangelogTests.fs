/// design.md 2, 3 and 5, G8: effects, the changelog, what a watcher sees.
module Regatta.Spec.Tests.ChangelogTests

open Expecto
open Regatta.Spec
open Regatta.Spec.Tests.Build

let private effects commands =
    let state = after commands
    state.Changelog.Records[state.Revision]

let private sent commands = Effect.toCommand (effects commands)

let private kinds =
    testList
        "the effects"
        [ testCase "of a put are the key and what is then stored, and are sent as a put" (fun () ->
              Expect.equal (effects [ put "a" "1"; putPrev "a" "2" ]) [ Effect.Put(b "a", entry "2" 1L 2L 2L) ] "the effect"
              Expect.equal (sent [ put "a" "1"; putPrev "a" "2" ]) (put "a" "2") "the command")

          testCase "of nothing are none, and are sent as a dummy" (fun () ->
              let failed = txn [ compareKey "x" Relation.Equal Operand.Exists ] [ opPut "x" "1" ] []

              for command in [ Command.Dummy; delete "x"; failed; txn [] [ opGet "a"; opDelete "x" ] [] ] do
                  Expect.isEmpty (effects [ put "a" "1"; command ]) $"{command}"
                  Expect.equal (sent [ put "a" "1"; command ]) Command.Dummy $"{command}")

          testCase "of a delete stay a range, with the keys it removed, and are sent as a transaction without compares" (fun () ->
              let delete = { deleteOp KeyRange.all with PrevKv = true; Count = true }
              let commands = [ put "b" "1"; put "a" "1"; Command.Delete delete ]
              Expect.equal (effects commands) [ Effect.Delete(KeyRange.all, texts [ "a"; "b" ]) ] "the effect"
              Expect.equal (sent commands) (txn [] [ Op.Delete(deleteOp KeyRange.all) ] []) "the command")

          testCase "of a transaction are those of the taken branch, in order, each put of a key" (fun () ->
              let exists = compareKey "a" Relation.Equal Operand.Exists
              let failure = [ opPut "b" "1"; opGet "b"; opPut "b" "2"; opDelete "x"; opDelete "b"; opPut "b" "3" ]

              let expected =
                  [ Effect.Put(b "b", entry "1" 1L 1L 1L)
                    Effect.Put(b "b", entry "2" 1L 1L 2L)
                    Effect.Delete(KeyRange.single (b "b"), [ b "b" ])
                    Effect.Put(b "b", entry "3" 1L 1L 1L) ]

              Expect.equal (effects [ txn [ exists ] [ opPut "c" "1" ] failure ]) expected "the effects"
              let ops = [ opPut "b" "1"; opPut "b" "2"; opDelete "b"; opPut "b" "3" ]
              Expect.equal (sent [ txn [ exists ] [ opPut "c" "1" ] failure ]) (txn [] ops []) "the command") ]

let private records =
    let state = after [ put "a" "1"; Command.Dummy; delete "a" ]

    testList
        "the changelog"
        [ testCase "has a record for every revision, with or without effects" (fun () ->
              let expected =
                  [ 1L, [ Effect.Put(b "a", entry "1" 1L 1L 1L) ]; 2L, []; 3L, [ Effect.Delete(KeyRange.single (b "a"), [ b "a" ]) ] ]

              Expect.equal (Changelog.since 1L state.Changelog) (Ok expected) "from the first"
              Expect.equal (Changelog.since 3L state.Changelog) (Ok [ expected[2] ]) "from the last"
              Expect.equal (Changelog.since 4L state.Changelog) (Ok []) "from the next")

          testCase "says how far it reaches when asked for what it does not hold" (fun () ->
              let trimmed = (Table.trim 3L state).Changelog
              Expect.equal (Changelog.since 2L trimmed) (Error(ChangelogError.Compacted 3L)) "trimmed"
              Expect.equal (Changelog.since 5L trimmed) (Error(ChangelogError.Ahead 3L)) "not there yet")

          testCase "when trimmed whole goes on with the next revision" (fun () ->
              let state = run [ put "b" "1" ] (Table.trim 100L state)
              Expect.equal state.Changelog.Oldest 4L "the oldest retained"
              Expect.equal (Changelog.since 4L state.Changelog) (Ok [ 4L, [ Effect.Put(b "b", entry "1" 4L 4L 1L) ] ]) "the new one")

          testCase "when trimmed never gives back what is gone" (fun () ->
              Expect.equal (state |> Table.trim 3L |> Table.trim 1L) (Table.trim 3L state) "a lower bound")

          testCase "takes only the revision that follows" (fun () ->
              Expect.throwsT<System.ArgumentException> (fun () -> Changelog.add 5L [] state.Changelog |> ignore) "a gap"
              Expect.throwsT<System.ArgumentException> (fun () -> Table.replay state (3L, []) |> ignore) "a revision again") ]

let private watches =
    let commands =
        [ put "a" "1"
          put "x" "1"
          txn [] [ opPut "b" "2"; opPut "x" "2"; opPut "c" "2" ] []
          Command.Dummy
          Command.Delete(deleteOp KeyRange.all) ]

    let changelog = (after commands).Changelog
    let range = KeyRange.between (b "a") (b "c")

    testList
        "a watch"
        [ testCase "sees every change of its range once, in revision order, a transaction's together" (fun () ->
              let expected =
                  [ 1L, [ Event.Put(kv "a" (entry "1" 1L 1L 1L)) ]
                    3L, [ Event.Put(kv "b" (entry "2" 3L 3L 1L)) ]
                    5L, [ Event.Delete(b "a"); Event.Delete(b "b") ] ]

              Expect.equal (Changelog.watch range 1L changelog) (Ok expected) "from the first revision"
              Expect.equal (Changelog.watch range 2L changelog) (Ok expected.Tail) "from the second")

          testCase "from a revision that is gone says which is the oldest" (fun () ->
              let error = Changelog.watch range 2L (Changelog.trim 3L changelog)
              Expect.equal error (Error(ChangelogError.Compacted 3L)) "compacted") ]

let tests = testList "changes" [ kinds; records; watches ]
