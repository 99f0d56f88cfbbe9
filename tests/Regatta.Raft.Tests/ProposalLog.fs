/// The log as a batcher sees it: a place that entries go to, and callers who wait.
module Regatta.Raft.Tests.ProposalLog

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

/// An entry as the log would get it.
[<NoComparison; NoEquality>]
type Proposed = { Payload: byte array; Waiters: IProposalWaiters; Ended: TaskCompletionSource }

/// Stands in for the log: keeps what is proposed until the test says what becomes of it.
type Log(options: GroupOptions, time: TimeProvider) =
    let proposals = new BlockingCollection<Proposed>()
    let mutable refusal = Nullable<ProposalOutcome>()

    let propose (payload: ReadOnlyMemory<byte>) (waiters: IProposalWaiters) =
        let proposed =
            { Payload = payload.ToArray()
              Waiters = waiters
              Ended = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) }

        proposals.Add proposed
        proposed.Ended.Task

    let batcher = Batcher(options, time, (fun payload batch -> propose payload batch), (fun () -> refusal), ignore)
    new(options) = Log(options, TimeProvider.System)
    member _.Batcher = batcher

    member _.Refusal
        with get () = refusal
        and set value = refusal <- value

    /// The next entry that the batcher hands over.
    member _.Next() =
        let mutable proposed = Unchecked.defaultof<Proposed>

        if proposals.TryTake(&proposed, patience) then proposed else failtest "no entry was proposed"

    member _.Count = proposals.Count

    member _.Propose(command: TableCommand, token: CancellationToken) = batcher.ProposeAsync(command, token).AsTask()
    member log.Propose(command: TableCommand) = log.Propose(command, CancellationToken.None)

let put (number: int) (size: int) =
    PutCommand(ReadOnlyMemory(BitConverter.GetBytes number), ReadOnlyMemory(Array.create size (byte number)), false) :> TableCommand

/// The numbers of the puts in an entry, in their order.
let numbers (proposed: Proposed) =
    let mutable reader = EntryReader(ReadOnlyMemory proposed.Payload)
    let mutable command: TableCommand | null = null
    let found = ResizeArray()

    while reader.TryRead &command do
        match command with
        | :? PutCommand as put -> found.Add(BitConverter.ToInt32 put.Key.Span)
        | other -> failtestf "%O is no put" other

    List.ofSeq found

let apply (proposed: Proposed) (firstRevision: int) =
    let count = (numbers proposed).Length

    for position in 0 .. count - 1 do
        proposed.Waiters.Set(position, PutResult(int64 (firstRevision + position), null))

    proposed.Waiters.Committed()
    proposed.Waiters.Applied()
    proposed.Ended.SetResult()

let outcome (task: Task<ProposalOutcome>) = soonResult task

let options = GroupOptions()
