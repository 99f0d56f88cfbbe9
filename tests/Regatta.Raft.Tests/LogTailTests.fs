module Regatta.Raft.Tests.LogTailTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Testing

/// What the newest entries are by the plainest means.
type private Model = { First: int64; Records: byte array list }

let private last model = model.First + int64 model.Records.Length - 1L

let private through index model =
    let gone = int (Math.Clamp(index - model.First + 1L, 0L, int64 model.Records.Length))
    let kept = { First = model.First + int64 gone; Records = List.skip gone model.Records }
    if kept.Records.IsEmpty then { kept with First = max kept.First (index + 1L) } else kept

let private before index model =
    let kept = int (max 0L (index - model.First))
    if kept = 0 then { First = index; Records = [] } else { model with Records = List.truncate kept model.Records }

let private agree (tail: LogTail) model =
    let bytes = model.Records |> List.sumBy (fun record -> int64 record.Length)

    Expect.equal
        (tail.First, tail.Last, tail.Count, tail.Bytes)
        (model.First, last model, model.Records.Length, bytes)
        "from, to, how many, bytes"

    Expect.isFalse (tail.Contains(model.First - 1L) || tail.Contains(last model + 1L)) "what is not there"

    model.Records
    |> List.iteri (fun at record ->
        let index = model.First + int64 at
        Expect.isTrue (tail.Contains index && obj.ReferenceEquals(tail[index].Record, record)) $"entry {index}")

let private add (tail: LogTail) record =
    let entry = StoredEntry(record, Task.CompletedTask, null)
    tail.Add &entry

let private step (random: Random) (tail: LogTail) model =
    match random.Next 12 with
    | 0 ->
        let index = model.First + random.NextInt64(-3L, int64 model.Records.Length + 3L)
        tail.DropThrough index
        through index model
    | 1 when not model.Records.IsEmpty ->
        let index = random.NextInt64(max 1L (model.First - 2L), last model + 1L)
        let kept = before (max index model.First) model
        let removed = tail.RemoveFrom index
        Expect.equal [ for entry in removed -> entry.Record ] (List.skip kept.Records.Length model.Records) "taken away, oldest first"
        if kept.Records.IsEmpty then { kept with First = index } else kept
    | 2 when random.Next 40 = 0 ->
        let first = random.NextInt64(1L, 1_000L)
        tail.Restart first
        { First = first; Records = [] }
    | 3
    | 4 when not model.Records.IsEmpty ->
        tail.DropFirst()
        { First = model.First + 1L; Records = model.Records.Tail }
    | _ ->
        let record = Array.zeroCreate (random.Next 50)
        add tail record
        { model with Records = model.Records @ [ record ] }

let tests =
    testList
        "the newest entries"
        [ testCase "are those of a list, whatever comes and goes" (fun () ->
              for seed in 1 .. Scale.pick 20 400 do
                  let random = Random(Seed.current + seed)
                  let tail = LogTail()
                  let mutable model = { First = 1L; Records = [] }

                  for _ in 1..800 do
                      model <- step random tail model
                      agree tail model)
          testCase "do not keep those who wait for an entry alive" (fun () ->
              let tail = LogTail()

              let nobody =
                  { new IProposalWaiters with
                      member _.Committed() = ()
                      member _.Applied() = ()
                      member _.Lost _ = ()
                    interface ICommandResults with
                        member _.Set(_, _) = () }

              let proposal = ProposedEntry(1L, ReadOnlyMemory [| 1uy |], nobody)

              for index in 1L .. 5L do
                  let entry = StoredEntry([| byte index |], Task.CompletedTask, proposal)
                  tail.Add &entry

              tail.DropFirst()
              tail.ForgetProposal 4L
              Expect.equal [ for index in 2L .. 5L -> isNull tail[index].Proposal ] [ false; false; true; false ] "one is forgotten"
              Expect.equal tail[4L].Record [| 4uy |] "its record stays")
          testCase "are those of a list when very many are dropped, one by one" (fun () ->
              let tail = LogTail()

              for index in 1..2_000 do
                  add tail (Array.zeroCreate (index % 7))

              for index in 1..2_000 do
                  tail.DropFirst()
                  Expect.equal (tail.First, tail.Last, tail.Count) (int64 index + 1L, 2_000L, 2_000 - index) $"{index} dropped"

              Expect.equal tail.Bytes 0L "nothing is left") ]
