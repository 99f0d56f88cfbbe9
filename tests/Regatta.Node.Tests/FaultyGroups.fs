namespace Regatta.Node.Tests

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Regatta.Core
open Regatta.Node
open Regatta.Raft
open Regatta.Storage

/// What a group does with proposals and barriers.
type Behaviour =
    | Works
    | Refuses of GroupFailure * reason: string
    /// Takes a proposal and never finishes it: its fate is unknown when the caller gives up. A barrier just does not come.
    | Hangs
    /// Its records never end: a scan of them goes on for as long as it is let.
    | Endless
    /// Has passed every revision that it is asked to show.
    | RunsAhead

module private Endless =
    /// A real table whose first record comes again and again.
    let view (inner: ITableView) =
        { new ITableView with
            member _.Revision = inner.Revision
            member _.TryGetHeader(key, header) = inner.TryGetHeader(key, &header)
            member _.TryGet(key, header, value) = inner.TryGet(key, &header, &value)
            member _.Dispose() = inner.Dispose()

            member _.Scan range =
                let cursor = inner.Scan range
                let some = cursor.MoveNext()

                { new ITableCursor with
                    member _.MoveNext() = some
                    member _.Key = cursor.Key
                    member _.Header = cursor.Header
                    member _.Value = cursor.Value
                    member _.Dispose() = cursor.Dispose() } }

    let reader (inner: ITableReader) =
        { new ITableReader with
            member _.Revision = inner.Revision
            member _.Get(key, withValue) = inner.Get(key, withValue)
            member _.ReadChain revision = inner.ReadChain revision
            member _.OpenChanges(from, withParts) = inner.OpenChanges(from, withParts)
            member _.OpenView() = view (inner.OpenView()) }

    let moment (opening: ValueTask<ExactView | null>) : Task<ExactView | null> =
        task {
            let! opened = opening
            let shown (real: ExactView) : ExactView | null = new ExactView(view real.View, real.Chain)

            return
                match opened with
                | null -> null
                | real -> shown real
        }

/// A real group with a behaviour in front of it.
type FaultyGroup(inner: ITableGroup, behaviour: unit -> Behaviour) =
    let untilCancelled (token: CancellationToken) =
        task {
            let gone = TaskCompletionSource()
            use _ = token.Register(fun () -> gone.TrySetResult() |> ignore)
            do! gone.Task
        }

    interface ITableGroup with
        member _.GroupId = inner.GroupId

        member _.Reader =
            match behaviour () with
            | Endless -> Endless.reader inner.Reader
            | _ -> inner.Reader

        member _.Term = inner.Term

        member _.LeaderNodeId =
            match behaviour () with
            | Refuses(GroupFailure.NoLeader, _) -> 0L
            | _ -> inner.LeaderNodeId

        member _.Fault = inner.Fault
        member _.Status = inner.Status
        member _.WaitForRevisionAsync(revision, token) = inner.WaitForRevisionAsync(revision, token)
        member _.DisposeAsync() = inner.DisposeAsync()
        member _.LedAtAsync token = inner.LedAtAsync token

        member _.OpenViewAsync(revision, token) =
            match behaviour () with
            | RunsAhead -> ValueTask<ExactView | null>(null: ExactView | null)
            | Endless -> ValueTask<ExactView | null>(Endless.moment (inner.OpenViewAsync(revision, token)))
            | _ -> inner.OpenViewAsync(revision, token)

        member _.MoveLeaderAsync(nodeId, token) =
            match behaviour () with
            | Works
            | RunsAhead
            | Endless -> inner.MoveLeaderAsync(nodeId, token)
            | Refuses(_, reason) -> ValueTask<string | null>(reason: string | null)
            | Hangs ->
                ValueTask<string | null>(
                    task {
                        do! untilCancelled token
                        token.ThrowIfCancellationRequested()
                        return null
                    }
                )

        member _.ProposeAsync(command, token) =
            match behaviour () with
            | Works
            | RunsAhead
            | Endless -> inner.ProposeAsync(command, token)
            | Refuses(failure, reason) -> ValueTask<ProposalOutcome>(ProposalOutcome.Failed(failure, reason))
            | Hangs ->
                ValueTask<ProposalOutcome>(
                    task {
                        do! untilCancelled token
                        return ProposalOutcome.Failed(GroupFailure.Unknown, "cancelled after it was proposed")
                    }
                )

        member _.ReadBarrierAsync token =
            match behaviour () with
            | Works
            | RunsAhead
            | Endless -> inner.ReadBarrierAsync token
            | Refuses(failure, reason) -> ValueTask<BarrierOutcome>(BarrierOutcome(failure, reason))
            | Hangs ->
                ValueTask<BarrierOutcome>(
                    task {
                        do! untilCancelled token
                        return BarrierOutcome(GroupFailure.Cancelled, "cancelled")
                    }
                )

/// A real host whose groups misbehave on demand, by the table's name, and that can fail as a whole.
type FaultyHost(inner: IGroupHost) =
    let behaviours = ConcurrentDictionary<string, Behaviour>()
    let damaged = ConcurrentDictionary<string, string>()
    let groups = ConcurrentDictionary<int64, ITableGroup>()
    let failure = TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously)

    member _.Set(table: string, behaviour: Behaviour) = behaviours[table] <- behaviour
    /// The table's group cannot be started, as if its files were damaged.
    member _.Damage(table: string, reason: string) = damaged[table] <- reason
    /// Starting the table's group waits until it is given up, as for another node that is away.
    member val Waits: string option = None with get, set
    /// Completes when one waits so.
    member val HasToWait = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously
    /// The disk fails when the table's group is to be started, and one waits.
    member val Fails: string option = None with get, set
    /// That is told of, and ends the groups that are there.
    member val FailsAsAWhole = false with get, set
    member _.Repair(table: string) = damaged.TryRemove table |> ignore
    /// Dropping a group deletes nothing, as if the node had been killed before it could.
    member val KeepOnDrop = false with get, set
    member _.Fail(cause: string) = failure.SetResult cause
    /// The tables' files are damaged on the disk, so that none can be given to followers.
    member val FilesDamaged = false with get, set
    /// How often files were asked for.
    member val FilesAsked = 0 with get, set

    interface IGroupHost with
        member _.Site = inner.Site
        member _.OnDisk = inner.OnDisk
        member _.IsDiskLow = inner.IsDiskLow
        member _.StageAsync(groupId, far, token) = inner.StageAsync(groupId, far, token)

        member host.ServeFilesAsync(asker, groupId, call, request, token) =
            host.FilesAsked <- host.FilesAsked + 1
            if host.FilesDamaged then raise (StorageCorruptionException "000001.sst is shorter than it was")
            inner.ServeFilesAsync(asker, groupId, call, request, token)

        member _.Failure = Task.WhenAny(inner.Failure, failure.Task).Unwrap()
        member _.DisposeAsync() = inner.DisposeAsync()

        member host.StartAsync(spec, token) =
            match damaged.TryGetValue spec.Name with
            | _ when host.Fails = Some spec.Name ->
                ValueTask<ITableGroup>(
                    task {
                        do! host.HasToWait.Task

                        if host.FailsAsAWhole then
                            host.Fail "the disk is gone"

                            for group in groups.Values do
                                do! group.DisposeAsync()

                        return! Task.FromException<ITableGroup>(IO.IOException "Input/output error")
                    }
                )
            | _ when host.Waits = Some spec.Name ->
                ValueTask<ITableGroup>(
                    task {
                        host.HasToWait.TrySetResult() |> ignore
                        do! Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token)
                        return! inner.StartAsync(spec, token)
                    }
                )
            | true, reason -> ValueTask<ITableGroup>(Task.FromException<ITableGroup>(IO.InvalidDataException reason))
            | _ ->
                ValueTask<ITableGroup>(
                    task {
                        let! group = inner.StartAsync(spec, token)

                        let behaviour () =
                            match behaviours.TryGetValue spec.Name with
                            | true, behaviour -> behaviour
                            | _ -> Works

                        return groups.GetOrAdd(spec.GroupId, (fun _ -> FaultyGroup(group, behaviour) :> ITableGroup))
                    }
                )

        member _.TryGet(groupId, group) =
            match groups.TryGetValue groupId with
            | true, found ->
                group <- found
                true
            | _ -> false

        member this.DropAsync(groupId, token) =
            groups.TryRemove groupId |> ignore

            if this.KeepOnDrop then ValueTask.CompletedTask else inner.DropAsync(groupId, token)

        member _.SetAsideAsync(groupId, token) = inner.SetAsideAsync(groupId, token)
