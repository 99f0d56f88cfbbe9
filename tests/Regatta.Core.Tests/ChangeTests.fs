module Regatta.Core.Tests.ChangeTests

open System
open System.IO
open Expecto
open FsCheck.FSharp
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Testing

/// A table whose second revision has an effect of every kind, and that revision's parts.
let private everyKind () =
    let table = TableUnderTest()
    table.One(doing [ for key in [ "a"; "b"; "c"; "d" ] -> putOp key key ]) |> ignore

    table.One(doing [ putOp "new" "1"; putOp "a" "2"; deleteOp (single "d"); deleteOp (interval "b" "d"); rangeOp everything ])
    |> ignore

    table, [ for struct (_, _, record) in table.Memory.Changes 2L -> ReadOnlyMemory record ]

let private record () = everyKind () |> snd |> List.head

let private describe (change: Change) =
    match change with
    | :? Change.Put as put -> $"put {text put.Key}={text put.Value} {put.CreateRevision}/{put.Version} for {put.Replaced}"
    | :? Change.Delete as delete -> $"delete {text delete.Key} of {delete.Replaced}"
    | :? Change.DeleteRange as delete -> $"delete {text delete.Range.Start}..{text delete.Range.End} {delete.Removed}"
    | other -> failtestf "a %s" (other.GetType().Name)

let private keyOf (removed: RemovedKey) = text removed.Key, removed.Replaced

let private lastRecord (table: TableUnderTest) =
    let struct (_, _, record) = table.Memory.Changes table.Applied.Revision |> Array.head
    ChangeCodec.Read(ReadOnlyMemory record)

let private withByte index value (record: ReadOnlyMemory<byte>) =
    let copy = record.ToArray()
    copy[index] <- value
    ReadOnlyMemory copy

let private reading =
    [ testCase "a transaction is its puts and deletes in order, reads left out" (fun () ->
          let record = ChangeCodec.Read(record ())

          Expect.equal
              (record.Changes |> Seq.map describe |> List.ofSeq)
              [ "put new=1 2/1 for 0"; "put a=2 1/2 for 1"; "delete d of 1"; "delete b..d 2" ]
              "changes")

      testCase "the keys of a range delete are in a part that names its change" (fun () ->
          let removed = ChangeCodec.ReadRemovedKeys(everyKind () |> snd |> List.item 1)
          Expect.equal removed.Position 3 "position of the change"
          Expect.equal (removed.Keys |> Seq.map keyOf |> List.ofSeq) [ "b", 1L; "c", 1L ] "keys")

      testCase "a change names the revision that it replaced, which may be its own" (fun () ->
          let table = TableUnderTest()
          let last () = (lastRecord table).Changes |> Seq.map describe |> List.ofSeq

          for command in [ put "a" "1"; put "a" "2"; put "b" "3" ] do
              table.One command |> ignore

          table.One(doing [ putOp "a" "4"; putOp "a" "5"; deleteOp (single "a"); putOp "a" "6"; putOp "b" "7" ]) |> ignore

          Expect.equal
              (last ())
              [ "put a=4 1/3 for 2"; "put a=5 1/4 for 4"; "delete a of 4"; "put a=6 4/1 for 0"; "put b=7 3/2 for 3" ]
              "changes of the transaction"

          table.One(delete (single "b")) |> ignore
          Expect.equal (last ()) [ "delete b of 4" ] "a delete")

      testCase "what had no effect is not in the changelog" (fun () ->
          let table = TableUnderTest()

          for command in [ delete (single "k"); delete everything; doing []; DummyCommand(); doing [ deleteOp (single "k") ] ] do
              table.One command |> ignore
              Expect.isEmpty (lastRecord table).Changes $"changes of {command}"

          Expect.equal table.Applied.Revision 5L "each has its revision")

      testCase "a range delete of many keys makes parts of bounded size, in key order" (fun () ->
          let table = TableUnderTest()
          let keys = [ for i in 1..300 -> i.ToString "d4" + String('k', 1000) ]
          table.Apply [ for key in keys -> put key "v" ] |> ignore
          table.One(delete everything) |> ignore
          let parts = [ for struct (_, part, record) in table.Memory.Changes 301L -> part, record ]
          let removed = parts |> List.tail |> List.map (fun (_, record) -> ChangeCodec.ReadRemovedKeys(ReadOnlyMemory record))
          Expect.equal (List.map fst parts) [ 0..5 ] "parts"
          Expect.all parts (fun (_, record) -> record.Length < (64 <<< 10) + 1_100) "each part is about 64 KiB at most"
          Expect.all removed (fun part -> part.Position = 0) "all belong to the one change"
          Expect.equal (removed |> List.collect (fun part -> part.Keys |> Seq.map (keyOf >> fst) |> List.ofSeq)) keys "keys"
          Expect.equal ((lastRecord table).Changes |> Seq.map describe |> List.ofSeq) [ "delete \000.. 300" ] "the record itself")

      testCase "a part that the last key of a range delete fills is the last one" (fun () ->
          let table = TableUnderTest()
          // As long as a part may get.
          table.One(put (String('k', ChangeWriter.PartBytes)) "v") |> ignore
          table.One(delete everything) |> ignore
          Expect.equal [ for struct (_, part, _) in table.Memory.Changes 2L -> part ] [ 0; 1 ] "the record and one part")

      testCase "the formats are those of the golden files" (fun () ->
          match everyKind () |> snd with
          | [ record; removed ] ->
              let golden = Golden.check "change-v2.bin" record
              Expect.equal ((ChangeCodec.Read golden).Changes.Length) 4 "changes in the golden record"
              let removed = Golden.check "removed-v2.bin" removed
              Expect.equal ((ChangeCodec.ReadRemovedKeys removed).Keys.Length) 2 "keys in the golden part"
          | other -> failtestf "%d parts" other.Length) ]

let private commands =
    [ testCase "nothing is sent as a dummy, one put as a put, anything else as a transaction without compares" (fun () ->
          let table = TableUnderTest()

          let kindOf command =
              table.One command |> ignore
              (lastRecord table).ToCommand().GetType()

          Expect.equal (kindOf (delete everything)) typeof<DummyCommand> "nothing"
          Expect.equal (kindOf (doing [ putOp "a" "1"; rangeOp everything ])) typeof<PutCommand> "one put"
          Expect.equal (kindOf (doing [ putOp "a" "1"; putOp "a" "2" ])) typeof<TxnCommand> "two puts of one key"
          Expect.equal (kindOf (delete (single "a"))) typeof<TxnCommand> "a delete")

      testCase "two puts of one key stay two, so that versions count alike elsewhere" (fun () ->
          let table = TableUnderTest()
          table.One(doing [ putOp "a" "1"; putOp "a" "2" ]) |> ignore
          let copy = TableUnderTest()
          copy.One((lastRecord table).ToCommand()) |> ignore
          Expect.equal copy.Content [ "a", (1L, 1L, 2L), "2" ] "the copy"
          Expect.equal copy.Applied.Chain table.Applied.Chain "chain") ]

let private chain =
    let at (commands: TableCommand list) =
        let table = TableUnderTest()
        table.Apply commands |> ignore
        table.Applied.Chain

    [ testCase "the chain starts with the incarnation" (fun () ->
          let other = Incarnation(incarnation.History, incarnation.Number + 1L)
          let elsewhere = Incarnation(Guid "00000000-0000-0000-0000-000000000001", incarnation.Number)
          Expect.notEqual (ChainHash.Seed incarnation) (ChainHash.Seed other) "another number"
          Expect.notEqual (ChainHash.Seed incarnation) (ChainHash.Seed elsewhere) "another history")

      testCase "the chain tells histories apart that end in the same data" (fun () ->
          let plain = at [ put "a" "1"; put "b" "2" ]
          Expect.equal (at [ put "a" "1"; doing [ putOp "b" "2" ] ]) plain "a put in a transaction does the same"
          Expect.notEqual (at [ put "b" "2"; put "a" "1" ]) plain "another order"
          Expect.notEqual (at [ put "a" "1"; put "b" "3" ]) plain "another value"
          Expect.notEqual (at [ doing [ putOp "a" "1"; putOp "b" "2" ]; DummyCommand() ]) plain "other revisions")

      testCase "the chain sees where a key ends and its value begins" (fun () ->
          Expect.notEqual (at [ put "ab" "c" ]) (at [ put "a" "bc" ]) "a byte that changes sides")

      Property.test
          "a record in which one bit is turned does not continue the chain"
          (Scale.pick 500 5_000)
          (Gen.constant () |> Gen.bind (fun () -> Gen.choose (8, 8 * (record ()).Length - 1)))
          (fun _ -> Seq.empty)
          (fun bit ->
              let table, parts = everyKind ()
              let struct (_, _, first) = table.Memory.Changes 1L |> Array.head
              let previous = ChangeCodec.ReadChain(ReadOnlyMemory first)
              Expect.isTrue (ChangeCodec.Continues(previous, 2L, parts.Head)) "as it was written"
              Expect.isFalse (ChangeCodec.Continues(previous, 3L, parts.Head)) "at another revision"
              let turned = withByte (bit / 8) (parts.Head.Span[bit / 8] ^^^ (1uy <<< bit % 8)) parts.Head
              Expect.isFalse (ChangeCodec.Continues(previous, 2L, turned)) $"bit {bit}")

      testCase "a hash is read back as it was written" (fun () ->
          let hash = ChainHash.Seed incarnation
          let bytes = Array.zeroCreate ChainHash.Bytes
          hash.WriteTo(Span bytes)
          Expect.equal (ChainHash.ReadFrom(ReadOnlySpan bytes)) hash "hash"
          Expect.equal ((string hash).Length) 32 "hex digits") ]

let private refusals =
    [ testCase "a record that is cut off inside a change is refused" (fun () ->
          let record = record ()
          // Behind a whole change a shorter record is a record too: the length is the store's to keep.
          let whole = [ 17; 17 + 9; 17 + 9 + 8; 17 + 9 + 8 + 4 ]

          for length in 0 .. record.Length - 1 do
              if not (List.contains length whole) then
                  refuses "Changelog record" (fun () -> ChangeCodec.Read(record.Slice(0, length)) |> ignore))

      testCase "an unknown format is refused" (fun () ->
          refuses "format 9 is unknown" (fun () -> ChangeCodec.Read(withByte 0 9uy (record ())) |> ignore)
          refuses "format 9 is unknown" (fun () -> ChangeCodec.ReadChain(withByte 0 9uy (record ())) |> ignore)
          refuses "format 0 is unknown" (fun () -> ChangeCodec.ReadRemovedKeys(ReadOnlyMemory [| 0uy |]) |> ignore))

      testCase "an unknown kind of change is refused" (fun () ->
          refuses "unknown kind of change 4" (fun () -> ChangeCodec.Read(withByte 17 4uy (record ())) |> ignore))

      testCase "a revision or position beyond what can be is refused" (fun () ->
          let most = [ yield! List.replicate 9 0xffuy; 1uy ]
          let put = [ 2uy; yield! List.replicate 16 0uy; 1uy; 0uy; 0uy; yield! most; 1uy ]
          refuses "out of range" (fun () -> ChangeCodec.Read(ReadOnlyMemory(Array.ofList put)) |> ignore)
          refuses "out of range" (fun () -> ChangeCodec.ReadRemovedKeys(ReadOnlyMemory(Array.ofList (2uy :: most))) |> ignore))

      Property.test
          "a garbled record is refused or read as other changes, nothing else"
          (Scale.pick 2_000 50_000)
          (Gen.map2
              (fun index value -> index, value)
              (Gen.constant () |> Gen.bind (fun () -> Gen.choose (0, (record ()).Length - 1)))
              (Gen.choose (0, 255)))
          (fun _ -> Seq.empty)
          (fun (index, value) ->
              try
                  ChangeCodec.Read(withByte index (byte value) (record ())) |> ignore
              with :? InvalidDataException ->
                  ()) ]

let tests = testList "the changelog" (reading @ commands @ chain @ refusals)
