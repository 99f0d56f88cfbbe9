namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Regatta.Core
open Regatta.Raft
open Regatta.Replication
open Regatta.Testing.Tables

/// A group that takes down what is proposed, and answers when it is told to.
[<Sealed>]
type ScriptedGroup(life: Incarnation) =
    let store = MemoryTableStore life
    let proposals = ResizeArray<struct (TableCommand * TaskCompletionSource<ProposalOutcome>)>()
    let mutable entries = 0L

    member _.Proposed = [ for struct (command, _) in proposals -> command ]
    member _.Revision = (store :> ITableReader).Revision
    member _.Answer(index: int, outcome: ProposalOutcome) = (let struct (_, answer) = proposals[index] in answer.SetResult outcome)

    member group.Fail index = group.Answer(index, ProposalOutcome.Failed(GroupFailure.NoLeader, "no leader"))

    /// All that have no answer yet.
    member _.FailAll() =
        for struct (_, answer) in proposals do
            answer.TrySetResult(ProposalOutcome.Failed(GroupFailure.NoLeader, "no leader")) |> ignore

    /// Applies a proposal, and answers.
    member group.Apply index =
        let struct (command, _) = proposals[index]
        let writer = EntryWriter()
        writer.Append command
        entries <- entries + 1L
        let mutable result: CommandResult | null = null

        let results =
            { new ICommandResults with
                member _.Set(_, given) = result <- given }

        TableMachine(store).Apply(ReadOnlySpan [| CommittedEntry(entries, 1L, writer.ToPayload(), results) |])
        group.Answer(index, ProposalOutcome.Applied(nonNull result))

    /// Whether proposals are applied at once.
    member val IsEager = false with get, set

    interface ITableGroup with
        member _.GroupId = life.Number
        member _.Reader = store
        member _.ReadBarrierAsync _ = ValueTask<BarrierOutcome>(BarrierOutcome())

        member group.ProposeAsync(command, _) =
            let answer = TaskCompletionSource<ProposalOutcome>()
            proposals.Add(struct (command, answer))
            if group.IsEager then group.Apply(proposals.Count - 1)
            ValueTask<ProposalOutcome> answer.Task

        member _.WaitForRevisionAsync(_, _) = raise (NotSupportedException())
        member _.OpenViewAsync(_, _) = raise (NotSupportedException())
        member _.LedAtAsync _ = raise (NotSupportedException())
        member _.MoveLeaderAsync(_, _) = raise (NotSupportedException())
        member _.Term = 1L
        member _.LeaderNodeId = 1L
        member _.Fault = null
        member _.Status = raise (NotSupportedException())
        member _.DisposeAsync() = ValueTask.CompletedTask

/// A leader site that sends the given items on each stream, and then keeps it open.
[<Sealed>]
type ScriptedLeader(streams: PulledItem list list) =
    let mutable opened = 0

    /// Streams that were asked for.
    member _.Opened = opened

    interface ILeaderSite with
        member _.TablesAsync _ = raise (NotSupportedException())

        member _.PullAsync(_, _, token) =
            let mutable rest = streams |> List.item (min opened (streams.Length - 1))
            let isLast = opened >= streams.Length - 1
            let mutable current = PulledItem()
            opened <- opened + 1

            { new IAsyncEnumerable<PulledItem> with
                member _.GetAsyncEnumerator _ =
                    { new IAsyncEnumerator<PulledItem> with
                        member _.Current = current
                        member _.DisposeAsync() = ValueTask.CompletedTask

                        member _.MoveNextAsync() =
                            match rest with
                            | next :: others ->
                                current <- next
                                rest <- others
                                ValueTask<bool> true
                            | [] when isLast ->
                                ValueTask<bool>(
                                    task {
                                        do! Scene.Until(TaskCompletionSource(), token)
                                        return false
                                    }
                                )
                            | [] ->
                                ValueTask<bool>(
                                    Task.FromException<bool>(LeaderSiteException(LeaderFailure.Unreachable, "the stream broke"))
                                ) } }
