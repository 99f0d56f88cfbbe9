module Regatta.Core.Tests.MachineTests

open System
open Expecto
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Testing.Tables

let private entry index commands = CommittedEntry(index, 1L, payload commands, null)

let private revisions =
    [ testCase "every command of an entry has a revision of its own" (fun () ->
          let table = TableUnderTest()
          let results = table.Apply [ put "a" "1"; delete (single "x"); doing []; DummyCommand(); put "b" "2" ]
          Expect.equal (results |> List.map _.Revision) [ 1L .. 5L ] "revisions"
          Expect.equal table.Content [ "a", (1L, 1L, 1L), "1"; "b", (5L, 5L, 1L), "2" ] "content")

      testCase "entries without commands move the index and the term, nothing else" (fun () ->
          let table = TableUnderTest()
          table.One(put "a" "1") |> ignore
          let before = table.Applied

          table.Machine.Apply(
              ReadOnlySpan [| CommittedEntry(2L, 4L, ReadOnlyMemory.Empty, null); CommittedEntry(3L, 5L, payload [], null) |]
          )

          Expect.equal table.Applied (AppliedState(3L, 5L, 1L, incarnation, before.Chain)) "applied")

      testCase "a table without commands has no chain yet" (fun () ->
          let table = TableUnderTest()
          table.Machine.Apply(ReadOnlySpan [| entry 1L [] |])
          Expect.equal table.Applied.Chain (ChainHash()) "chain")

      testCase "entries that are applied already are skipped" (fun () ->
          let table = TableUnderTest()
          table.Machine.Apply(ReadOnlySpan [| entry 1L [ put "a" "1" ]; entry 2L [ put "a" "2" ] |])
          table.Machine.Apply(ReadOnlySpan [| entry 1L [ put "a" "1" ]; entry 2L [ put "a" "2" ] |])
          table.Machine.Apply(ReadOnlySpan [||])
          table.Machine.Apply(ReadOnlySpan [| entry 2L [ put "a" "2" ]; entry 3L [ put "a" "3" ] |])
          Expect.equal table.Content [ "a", (1L, 3L, 3L), "3" ] "content")

      testCase "an entry that is missing stops the table" (fun () ->
          let table = TableUnderTest()
          refuses "Entry 2 is to be applied where entry 1 is due" (fun () -> table.Machine.Apply(ReadOnlySpan [| entry 2L [] |]))

          refuses "Entry 3 is to be applied where entry 2 is due" (fun () ->
              table.Machine.Apply(ReadOnlySpan [| entry 1L [ put "a" "1" ]; entry 3L [] |]))

          Expect.equal table.Applied.Index 0L "nothing is applied")

      testCase "an entry that cannot be read is named, nothing of its step is written, and nothing stays open" (fun () ->
          let table = TableUnderTest()
          let bad = CommittedEntry(2L, 3L, ReadOnlyMemory [| 9uy |], null)

          refuses "Entry 2 of term 3 cannot be applied. Raft entry: format 9" (fun () ->
              table.Machine.Apply(ReadOnlySpan [| entry 1L [ put "a" "1" ]; bad |]))

          Expect.isEmpty table.Content "content"
          Expect.equal table.Applied.Index 0L "applied index"
          Expect.equal table.Memory.OpenHandles 0 "open handles"
          table.Machine.Apply(ReadOnlySpan [| entry 1L [ put "a" "2" ] |])
          Expect.equal table.Content [ "a", (1L, 1L, 1L), "2" ] "the failed step left nothing behind") ]

let private writes =
    [ testCase "a put counts versions and keeps the create revision" (fun () ->
          let table = TableUnderTest()
          table.Apply [ put "a" "1"; put "a" "2"; put "a" "3" ] |> ignore
          Expect.equal table.Content [ "a", (1L, 3L, 3L), "3" ] "content")

      testCase "a put answers with what it replaced, if it was asked and there was something" (fun () ->
          let table = TableUnderTest()
          let first = wanted<PutResult>(table.One(put "a" "1"))
          Expect.isNone (Option.ofObj first.Previous) "of a new key"

          let second = wanted<PutResult>(table.One(put "a" "2"))
          let previous = Expect.wantSome (Option.ofObj second.Previous) "of a key that was there"
          Expect.equal (text previous.Key, text previous.Value, previous.Header) ("a", "1", RecordHeader(1L, 1L, 1L)) "previous"

          let unasked = wanted<PutResult>(table.One(PutCommand(bytes "a", bytes "3", false)))
          Expect.isNone (Option.ofObj unasked.Previous) "nobody asked")

      testCase "two puts of one key in a transaction count two versions, and the last wins" (fun () ->
          let table = TableUnderTest()
          table.One(doing [ putOp "a" "1"; putOp "a" "2" ]) |> ignore
          Expect.equal table.Content [ "a", (1L, 1L, 2L), "2" ] "content")

      testCase "a delete and a put in one transaction make the key anew" (fun () ->
          let table = TableUnderTest()
          table.Apply [ put "a" "1"; put "a" "2"; doing [ deleteOp (single "a"); putOp "a" "3" ] ] |> ignore
          Expect.equal table.Content [ "a", (3L, 3L, 1L), "3" ] "deleted by name"
          table.One(doing [ deleteOp everything; putOp "a" "4" ]) |> ignore
          Expect.equal table.Content [ "a", (4L, 4L, 1L), "4" ] "deleted with a range")

      testCase "a delete tells its number only to those who ask for it or for the records" (fun () ->
          for previous, count, expected in [ false, false, 0L; false, true, 2L; true, false, 2L; true, true, 2L ] do
              let table = TableUnderTest()
              table.Apply [ put "a" "1"; put "b" "2" ] |> ignore
              let result = wanted<DeleteRangeResult>(table.One(DeleteRangeCommand(everything, previous, count)))
              Expect.equal result.Deleted expected "deleted"
              Expect.equal [ for r in result.Previous -> text r.Key ] (if previous then [ "a"; "b" ] else []) "previous"
              Expect.isEmpty table.Content "content")

      testCase "the records of a range delete are complete, far beyond a page" (fun () ->
          let table = TableUnderTest 100
          let keys = [ for i in 1..50 -> i.ToString "d3" ]
          table.Apply [ for key in keys -> put key (String('v', 50)) ] |> ignore
          let result = wanted<DeleteRangeResult>(table.One(delete everything))
          Expect.equal [ for r in result.Previous -> text r.Key ] keys "previous")

      testCase "the end of a range is not in it, and an inverted range is empty" (fun () ->
          let table = TableUnderTest()
          table.Apply [ for key in [ "a"; "b"; "c" ] -> put key key ] |> ignore
          table.Apply [ delete (interval "a" "b"); delete (interval "c" "a"); delete (interval "b" "b") ] |> ignore
          Expect.equal (table.Content |> List.map (fun (key, _, _) -> key)) [ "b"; "c" ] "keys") ]

let private branches =
    let succeeded compares =
        let table = TableUnderTest()
        table.Apply [ put "a" "m"; put "b" "m"; put "b" "m" ] |> ignore
        (wanted<TxnResult>(table.One(txn compares [ putOp "then" "" ] [ putOp "else" "" ]))).Succeeded

    let holds name compare = testCase $"{name}: holds" (fun () -> Expect.isTrue (succeeded [ compare ]) "succeeded")
    let fails name compare = testCase $"{name}: does not hold" (fun () -> Expect.isFalse (succeeded [ compare ]) "succeeded")
    let exists range = Compare(range, CompareOperator.Equal, CompareTarget.Exists, ReadOnlyMemory.Empty, 0L)
    let version range operator number = compareNumber range operator CompareTarget.Version number

    [ testCase "no compare at all holds" (fun () -> Expect.isTrue (succeeded []) "succeeded")
      testCase "all compares must hold" (fun () ->
          Expect.isFalse (succeeded [ exists (single "a"); exists (single "x") ]) "the second does not"
          Expect.isTrue (succeeded [ exists (single "a"); exists (single "b") ]) "both do")
      holds "a key exists" (exists (single "a"))
      fails "a missing key exists" (exists (single "x"))
      fails "a range without keys exists" (exists (interval "x" "z"))
      holds "value equal" (compareValue (single "a") CompareOperator.Equal "m")
      fails "value not equal to itself" (compareValue (single "a") CompareOperator.NotEqual "m")
      holds "value greater than a smaller operand" (compareValue (single "a") CompareOperator.Greater "l")
      holds "value less than a longer operand with the same beginning" (compareValue (single "a") CompareOperator.Less "mm")
      fails "value of a missing key not equal" (compareValue (single "x") CompareOperator.NotEqual "m")
      holds "version of a missing key equals 0" (version (single "x") CompareOperator.Equal 0L)
      holds "create revision of a missing key less than 1" (compareNumber (single "x") CompareOperator.Less CompareTarget.CreateRevision 1L)
      holds
          "mod revision of a missing key not equal to 1"
          (compareNumber (single "x") CompareOperator.NotEqual CompareTarget.ModRevision 1L)
      fails "version of a range without keys equals 0" (version (interval "x" "z") CompareOperator.Equal 0L)
      holds "versions of a range all greater than 0" (version everything CompareOperator.Greater 0L)
      fails "versions of a range all equal to 1, one is 2" (version everything CompareOperator.Equal 1L)
      holds "create revision equals" (compareNumber (single "b") CompareOperator.Equal CompareTarget.CreateRevision 2L)
      holds "mod revision equals" (compareNumber (single "b") CompareOperator.Equal CompareTarget.ModRevision 3L)
      fails "an operator of another version" (compareNumber (single "a") (LanguagePrimitives.EnumOfValue 9uy) CompareTarget.Version 1L)
      fails "a target of another version" (compareNumber (single "a") CompareOperator.Equal (LanguagePrimitives.EnumOfValue 9uy) 1L)
      fails
          "a target of another version, on a missing key"
          (compareNumber (single "x") CompareOperator.Equal (LanguagePrimitives.EnumOfValue 9uy) 0L)
      testCase "compares see the state before the transaction" (fun () ->
          let table = TableUnderTest()
          let absent = version (single "a") CompareOperator.Equal 0L
          let attempt () = (wanted<TxnResult>(table.One(txn [ absent ] [ putOp "a" "1" ] []))).Succeeded
          Expect.equal (attempt (), attempt ()) (true, false) "create if absent, twice") ]

let private overlay =
    let keysAfter ops =
        let table = TableUnderTest()
        table.Apply [ for key in [ "b"; "d"; "f" ] -> put key "old" ] |> ignore
        let result = table.One(doing (ops @ [ rangeOp everything ]))
        Expect.equal (keysOf (List.last (responses result))) (table.Content |> List.map (fun (key, _, _) -> key)) "as it is stored"
        keysOf (List.last (responses result))

    let sees name ops keys = testCase $"a range sees {name}" (fun () -> Expect.equal (keysAfter ops) keys "keys")

    [ sees "puts between, before and behind what is stored" [ putOp "a" ""; putOp "g" ""; putOp "c" "" ] [ "a"; "b"; "c"; "d"; "f"; "g" ]
      sees "a stored key put again once" [ putOp "d" "new" ] [ "b"; "d"; "f" ]
      sees "a key deleted by name no more" [ deleteOp (single "d") ] [ "b"; "f" ]
      sees "a key that was put and deleted no more" [ putOp "c" ""; deleteOp (single "c") ] [ "b"; "d"; "f" ]
      sees "a key that was deleted and put again" [ deleteOp (single "d"); putOp "d" "" ] [ "b"; "d"; "f" ]
      sees
          "a deleted range no more, and what was put into it since"
          [ putOp "e" ""; deleteOp (interval "c" "f"); putOp "dd" "" ]
          [ "b"; "dd"; "f" ]
      sees "nothing when all is deleted" [ putOp "a" ""; deleteOp everything ] []
      sees "what is put after two deletes that overlap" [ deleteOp (interval "a" "e"); deleteOp (from "d"); putOp "e" "" ] [ "e" ]

      testCase "a command sees what commands before it in the same call have done" (fun () ->
          let table = TableUnderTest()
          let look = doing [ rangeOp everything; putOp "z" "" ]
          let results = table.Apply [ put "a" "1"; look; delete (single "a"); look; delete everything; look ]
          let seen = [ for i in [ 1; 3; 5 ] -> keysOf (List.head (responses results[i])) ]
          Expect.equal seen [ [ "a" ]; [ "z" ]; [] ] "keys")

      testCase "a range in a transaction reads the values that it wrote" (fun () ->
          let table = TableUnderTest()
          table.Apply [ put "a" "old"; put "b" "old" ] |> ignore

          match responses (table.One(doing [ putOp "a" "new"; rangeOp everything ])) with
          | [ _; :? TxnOpResult.Range as range ] ->
              let seen = [ for r in range.Records -> text r.Key, text r.Value, r.Header ]
              Expect.equal seen [ "a", "new", RecordHeader(1L, 3L, 2L); "b", "old", RecordHeader(2L, 2L, 1L) ] "records"
          | other -> failtestf "%A" other)

      testCase "a step with very many keys is in order, and so is the next one" (fun () ->
          let table = TableUnderTest()
          let keys = [ for i in 0..39_999 -> (i * 7919 % 40_000).ToString "d5" ]

          let result =
              table.One(doing [ yield! List.map (fun key -> putOp key "") keys; TxnOp.Range(everything, 0L, false, true) :> TxnOp ])

          match List.last (responses result) with
          | :? TxnOpResult.Range as range -> Expect.equal range.Count 40_000L "keys"
          | other -> failtestf "%A" other

          Expect.equal (table.Content |> List.map (fun (key, _, _) -> key)) (List.sort keys) "stored"

          Expect.equal
              (keysOf (List.last (responses (table.One(doing [ deleteOp everything; putOp "x" ""; rangeOp everything ])))))
              [ "x" ]
              "next step") ]

let private answers =
    [ testCase "range operations of one transaction share one page" (fun () ->
          let table = TableUnderTest 300
          table.Apply [ for key in [ "a"; "b"; "c" ] -> put key (String('v', 50)) ] |> ignore

          match responses (table.One(doing [ rangeOp (single "a"); rangeOp everything; rangeOp (single "c"); putOp "d" "" ])) with
          | [ :? TxnOpResult.Range as first; :? TxnOpResult.Range as second; :? TxnOpResult.Range as third; _ ] ->
              // 300 = 2 x 32 for the answers + 2 x 99 for the records + 38: a third record does not fit.
              Expect.equal (keysOf first, first.More) ([ "a" ], false) "the first fits"
              Expect.equal (keysOf second, second.More, second.Count) ([ "a" ], true, 1L) "the second is cut"
              Expect.equal (keysOf third, third.More) ([], true) "nothing is left for the third"
          | other -> failtestf "%A" other)

      testCase "answers outlive the entry that they came from" (fun () ->
          let table = TableUnderTest()
          let seen = ResizeArray()

          let results =
              { new ICommandResults with
                  member _.Set(_, result) = seen.Add result }

          let ops = [ putOp "a" "first"; putOp "a" "second"; deleteOp everything; putOp "b" "third"; rangeOp (single "b") ]
          let bytes = (payload [ doing ops ]).ToArray()
          table.Machine.Apply(ReadOnlySpan [| CommittedEntry(1L, 1L, ReadOnlyMemory bytes, results) |])
          Array.fill bytes 0 bytes.Length 0uy

          match responses (Seq.exactlyOne seen) with
          | [ _; :? TxnOpResult.Put as second; :? TxnOpResult.DeleteRange as deleted; _; :? TxnOpResult.Range as range ] ->
              let previous = Expect.wantSome (Option.ofObj second.Previous) "what the second put replaced"
              let records = [ previous; yield! deleted.Previous; yield! range.Records ]
              Expect.equal [ for r in records -> text r.Key, text r.Value ] [ "a", "first"; "a", "second"; "b", "third" ] "records"
          | other -> failtestf "%A" other)

      testCase "where nobody waits the state is the same" (fun () ->
          let commands =
              [ put "a" "1"; doing [ deleteOp everything; putOp "b" "2"; rangeOp everything ]; delete everything; put "c" "3" ]

          let asked, unasked = TableUnderTest(), TableUnderTest()
          asked.Apply commands |> ignore
          unasked.Machine.Apply(ReadOnlySpan [| CommittedEntry(1L, 1L, payload commands, null) |])
          Expect.equal unasked.Content asked.Content "content"
          Expect.equal unasked.Applied asked.Applied "applied") ]

let private batches =
    [ for keys in [ 63; 64; 65; 128; 129 ] do
          testCase $"an entry of {keys} keys, as many as it has places for or one more or less" (fun () ->
              let table = TableUnderTest()
              let names = [ for number in 1..keys -> number.ToString "d4" ]
              table.Apply [ for name in names -> put name name ] |> ignore

              Expect.equal
                  (table.Content |> List.map (fun (key, _, value) -> key, value))
                  [ for name in names -> name, name ]
                  "what it has put") ]

let tests = testList "applying commands" (revisions @ writes @ branches @ overlay @ answers @ batches)
