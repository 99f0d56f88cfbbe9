/// Batches of another site's commands: whatever is proposed, and how often, a table is always a prefix of the other site's history.
module Regatta.Core.Tests.ReplicatedTests

open System
open System.Collections.Immutable
open Expecto
open FsCheck.FSharp
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Spec
open Regatta.Testing
open Regatta.Testing.Tables

let private batchOf incarnation before (commands: TableCommand seq) =
    ReplicatedBatch(incarnation, before, ImmutableArray.CreateRange commands)

let private batch before commands = batchOf incarnation before commands :> TableCommand
let private otherLife = Incarnation(incarnation.History, incarnation.Number + 1L)

/// A table of the leader site: what it sends for each revision, and its states by revision.
type private Leader(script: Command list) =
    let table = TableUnderTest()
    let states = ResizeArray [ table.Content, table.Applied.Chain ]
    let sent = ResizeArray<TableCommand>()

    do
        for command in script do
            table.One(Translation.command command) |> ignore
            states.Add(table.Content, table.Applied.Chain)

            for struct (_, part, record) in table.Memory.Changes table.Applied.Revision do
                if part = 0 then sent.Add((ChangeCodec.Read(ReadOnlyMemory record)).ToCommand())

    member _.Revision = table.Applied.Revision
    member _.State(revision: int64) = states[int revision]
    member _.Batch(before: int64, count: int) = sent |> Seq.skip (int before) |> Seq.truncate count

/// One delivery to a follower: a piece of the history, and whether it says that it is of this table's life.
type private Delivery = { Before: int64; Count: int; IsOurs: bool }

let private deliveries =
    gen {
        let! script = Generate.script 12
        let revision = int64 script.Length

        let one =
            gen {
                let! before = Gen.choose64 (0L, revision)
                let! count = Gen.choose (0, 5)
                let! isOurs = Gen.frequency [ 9, Gen.constant true; 1, Gen.constant false ]
                return { Before = before; Count = count; IsOurs = isOurs }
            }

        let! length = Gen.choose (0, 25)
        let! deliveries = Gen.listOfLength length one
        return script, deliveries
    }

let private shrink (script, deliveries: Delivery list) =
    seq { for index in 0 .. deliveries.Length - 1 -> script, List.removeAt index deliveries }

let private deliver (leader: Leader) (follower: TableUnderTest) delivery =
    let life = if delivery.IsOurs then incarnation else otherLife
    let commands = leader.Batch(delivery.Before, delivery.Count)
    let before = follower.Applied.Revision
    let follows = delivery.IsOurs && delivery.Before = before
    let result = wanted<ReplicatedResult>(follower.One(batchOf life delivery.Before commands))
    Expect.equal result.IsApplied follows $"{delivery} at revision {before}"
    Expect.equal result.Revision follower.Applied.Revision "the revision that it tells"
    Expect.equal follower.Applied.Revision (if follows then before + int64 (Seq.length commands) else before) "the revision"
    Expect.equal (follower.Content, follower.Applied.Chain) (leader.State follower.Applied.Revision) "content and chain of that revision"

let private history =
    [ Property.test
          "of any pieces in any order, often or never, is a prefix of the leader site's"
          (Scale.pick 2_000 100_000)
          deliveries
          shrink
          (fun (script, deliveries) ->
              let leader = Leader script
              let follower = TableUnderTest()
              List.iter (deliver leader follower) deliveries

              while follower.Applied.Revision < leader.Revision do
                  deliver leader follower { Before = follower.Applied.Revision; Count = 3; IsOurs = true }

              Expect.equal follower.Applied.Chain (snd (leader.State leader.Revision)) "the whole history")

      testCase "takes each batch of one entry in view of those before it" (fun () ->
          let follower = TableUnderTest()
          let first = batch 0L [ put "a" "1"; put "b" "1" ]
          let results = follower.Apply [ first; first; batch 2L [ put "a" "2" ]; batch 2L [ put "a" "3" ]; put "c" "1" ]
          let seen = [ for result in List.take 4 results -> (wanted<ReplicatedResult> result).IsApplied, result.Revision ]
          Expect.equal seen [ true, 2L; false, 2L; true, 3L; false, 3L ] "applied"
          Expect.equal follower.Content [ "a", (1L, 3L, 2L), "2"; "b", (2L, 2L, 1L), "1"; "c", (4L, 4L, 1L), "1" ] "content")

      testCase "is skipped where only the history's id differs" (fun () ->
          let follower = TableUnderTest()
          let elsewhere = Incarnation(Guid "00000000-0000-0000-0000-000000000001", incarnation.Number)
          let result = wanted<ReplicatedResult>(follower.One(batchOf elsewhere 0L [ put "a" "1" ]))
          Expect.isFalse result.IsApplied "applied"
          Expect.isEmpty follower.Content "content") ]

let private oneOfEach () =
    batch 300L [ put "key" "value"; delete (interval "a" "b"); txn [] [ putOp "k" "v"; deleteOp (single "l") ] []; DummyCommand() ]

let private encoding =
    [ testCase "comes back as it was sent, in the size that was measured" (fun () ->
          let whole = payload [ oneOfEach () ]
          Expect.sequenceEqual ((payload (Decoded.entry whole)).ToArray()) (whole.ToArray()) "read and written again"
          Expect.equal (EntryWriter.Measure(oneOfEach ())) (int64 (whole.Length - EntryWriter.HeaderBytes)) "the measure"

          Expect.sequenceEqual
              ((ProposalEncoding.Encode(ProposalEncoding.Decode(ProposalEncoding.Encode(oneOfEach ())))).ToArray())
              ((ProposalEncoding.Encode(oneOfEach ())).ToArray())
              "as a proposal"

          match Decoded.entry whole with
          | [ :? ReplicatedBatch as back ] ->
              Expect.equal (back.Incarnation, back.Before) (incarnation, 300L) "life and revision"
              Expect.equal back.Commands.Length 4 "commands"
          | other -> failtestf "%A" other)

      testCase "has the format of the golden file" (fun () ->
          let golden = Golden.check "replicated-v1.bin" (payload [ oneOfEach () ])
          Expect.sequenceEqual ((payload (Decoded.entry golden)).ToArray()) (golden.ToArray()) "read and written again")

      testCase "that is cut off anywhere is refused" (fun () ->
          let whole = payload [ oneOfEach () ]

          for length in 1 .. whole.Length - 1 do
              refuses "Raft entry" (fun () -> Decoded.entry (whole.Slice(0, length)) |> ignore))

      testCase "in another one is neither written nor read" (fun () ->
          Expect.throwsT<ArgumentException> (fun () -> payload [ batch 0L [ batch 0L [] ] ] |> ignore) "written"
          // A dummy, the last byte of the batch, turned into the kind of a batch.
          let whole = (payload [ batch 0L [ DummyCommand() ] ]).ToArray()
          whole[whole.Length - 1] <- 5uy
          refuses "a replicated batch holds a command of kind 5" (fun () -> Decoded.entry (ReadOnlyMemory whole) |> ignore)) ]

let private revisions =
    [ Property.test
          "the revision behind an entry is known without applying it"
          (Scale.pick 1_000 50_000)
          deliveries
          shrink
          (fun (script, deliveries) ->
              let leader = Leader script
              let follower = TableUnderTest()

              for entry in List.chunkBySize 4 deliveries do
                  let commands =
                      [ for delivery in entry do
                            batchOf
                                (if delivery.IsOurs then incarnation else otherLife)
                                delivery.Before
                                (leader.Batch(delivery.Before, delivery.Count))
                            :> TableCommand

                            if delivery.Count = 5 then put "plain" "too" ]

                  let mutable reader = EntryReader(payload commands)
                  let foretold = reader.RevisionBehind(incarnation, follower.Applied.Revision)
                  follower.Apply commands |> ignore
                  Expect.equal follower.Applied.Revision foretold "the revision") ]

let private install: InstallCommand =
    InstallCommand(incarnation, 300L, ChainHash(UInt128.op_Implicit 7UL), UInt128.op_Implicit 9UL)

let private installing =
    [ testCase "comes back as it was sent, in the size that was measured" (fun () ->
          let whole = payload [ install ]
          Expect.equal (EntryReader.ReadInstall whole) install "read from its entry"
          Expect.equal (ProposalEncoding.Decode(ProposalEncoding.Encode install)) (install :> TableCommand) "as a proposal"
          Expect.equal (EntryWriter.Measure install) (int64 (whole.Length - EntryWriter.HeaderBytes)) "the measure"

          for length in EntryWriter.HeaderBytes + 1 .. whole.Length - 1 do
              refuses "Raft entry" (fun () -> EntryReader.ReadInstall(whole.Slice(0, length)) |> ignore))

      testCase "has the format of the golden file" (fun () ->
          Expect.equal (EntryReader.ReadInstall(Golden.check "install-v1.bin" (payload [ install ]))) install "read from the file")

      testCase "is told from all other entries" (fun () ->
          for entry in [ ReadOnlyMemory.Empty; payload []; payload [ put "a" "1"; install ]; payload [ oneOfEach () ] ] do
              Expect.isNull (EntryReader.ReadInstall entry) "another entry")

      testCase "is refused beside other commands, before and behind it" (fun () ->
          refuses "is not alone in it" (fun () -> EntryReader.ReadInstall(payload [ install; put "a" "1" ]) |> ignore)
          refuses "is not alone in its entry" (fun () -> TableUnderTest().Apply [ put "a" "1"; install ] |> ignore)
          Expect.throwsT<ArgumentException> (fun () -> payload [ batch 0L [ install ] ] |> ignore) "in a batch")

      testCase "goes on to its revision, and nowhere from there or elsewhere" (fun () ->
          let behind (life: Regatta.Core.Incarnation) (revision: int64) =
              let mutable reader = EntryReader(payload [ install ])
              reader.RevisionBehind(life, revision)

          Expect.equal (behind incarnation 0L, behind incarnation 299L) (300L, 300L) "ahead"
          Expect.equal (behind incarnation 300L, behind incarnation 301L) (300L, 301L) "reached"
          Expect.equal (behind otherLife 0L) 0L "another life") ]

let tests =
    testList "a replicated batch" [ yield! history; yield! encoding; yield! revisions; testList "and an installation" installing ]
