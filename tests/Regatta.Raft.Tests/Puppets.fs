/// A real group on node 1 whose other members are played by the test: they say what a test wants them to say.
module Regatta.Raft.Tests.Puppets

open System
open System.Collections.Concurrent
open System.IO
open System.Threading
open System.Threading.Tasks
open DotNext.Net.Cluster.Consensus.Raft
open Microsoft.Extensions.Logging
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLife

/// Nothing happens by the clock: who shall lead is told to stand, and what a group does it does because of what it was told.
let untimed =
    GroupOptions(
        ElectionTimeout = TimeSpan.FromMinutes 20.,
        MaxElectionTimeout = TimeSpan.FromMinutes 30.,
        HeartbeatInterval = TimeSpan.FromMinutes 5.,
        VoteTimeout = TimeSpan.FromMinutes 5.,
        AppendTimeout = TimeSpan.FromMinutes 5.,
        LeaderTimeout = TimeSpan.FromMinutes 5.,
        BarrierTimeout = TimeSpan.FromMinutes 5.,
        FlushBytes = 1L
    )

/// A member as a test plays it.
[<NoEquality; NoComparison>]
type Part = { Vote: VoteRequest -> Task<bool>; Append: AppendRequest -> Task<AppendReply> }

let never<'a> (token: CancellationToken) : Task<'a> =
    let waiting = TaskCompletionSource<'a>()
    token.Register(fun () -> waiting.TrySetCanceled token |> ignore) |> ignore
    waiting.Task

let hangs<'a> : Task<'a> = TaskCompletionSource<'a>().Task
let gone<'a> (node: int64) : Task<'a> = Task.FromException<'a>(PeerUnavailableException(node, true, "a test plays it dead"))

let last (request: AppendRequest) = request.PreviousIndex + int64 request.Entries.Length

/// "I have it all", in the words of a member of the leader's term.
let accepts (request: AppendRequest) = Task.FromResult(AppendReply(request.Term, HeartbeatResult.ReplicatedWithLeaderTerm, last request))

let willing = { Vote = (fun _ -> Task.FromResult true); Append = accepts }

/// Node 1 of so many. A test reads what it told the others, and changes their parts while it runs.
type Stage(directory: string, count: int, options: GroupOptions, loggers: ILoggerFactory) =
    let failStop = new FailStop()
    let gate = WriteGate()
    let log = openStore (Path.Combine(directory, "log")) failStop (Some gate)
    let parts = ConcurrentDictionary<int64, Part>()
    let disk = Disk()
    let notices = ConcurrentDictionary<int64, TaskCompletionSource<byte array>>()

    let noticeOf node =
        notices.GetOrAdd(node, (fun _ -> TaskCompletionSource<byte array>(TaskCreationOptions.RunContinuationsAsynchronously)))

    let call (node: int64) (method: PeerMethod) (request: ReadOnlyMemory<byte>) : Task<byte array> =
        task {
            match method with
            | PeerMethod.Vote
            | PeerMethod.PreVote ->
                let vote = RaftMessages.DecodeVote request
                let! granted = parts[node].Vote vote
                let yes = if method = PeerMethod.Vote then 1L else int64 PreVoteResult.Accepted
                let no = if method = PeerMethod.Vote then 0L else int64 PreVoteResult.RejectedByFollower
                return RaftMessages.EncodeVoteReply(vote.Term - 1L, (if granted then yes else no))
            | PeerMethod.Append ->
                let! reply = parts[node].Append(RaftMessages.DecodeAppend request)
                return RaftMessages.Encode &reply
            | PeerMethod.Commits ->
                (noticeOf node).TrySetResult(request.ToArray()) |> ignore
                return [||]
            | _ -> return raise (PeerUnavailableException(node, false, "a puppet does not do that"))
        }

    let peer node =
        { new IPeer with
            member _.NodeId = node
            member _.IsConnected = true
            member _.Silence = TimeSpan.Zero

            member _.CallAsync(_, method, request, token) =
                task {
                    // As over a network: not on the caller's thread, and with a copy.
                    do! Task.Yield()
                    let! reply = (call node method (ReadOnlyMemory(request.ToArray()))).WaitAsync token
                    return ReadOnlyMemory reply
                } }

    let setting =
        GroupSetting(
            1L,
            SiteMembers(1L, [ 1L .. int64 count ], peer),
            log,
            Path.Combine(directory, "scratch"),
            failStop,
            DiskRoom(0L, (fun () -> Int64.MaxValue)),
            options,
            loggers,
            TimeProvider.System
        )

    let mutable group: TableGroup option = None

    do
        for node in 2L .. int64 count do
            parts[node] <- willing

    new(directory, count, options) = new Stage(directory, count, options, NullLoggerFactory.Instance)
    member _.Plays(node: int64, part: Part) = parts[node] <- part
    member _.Group = group.Value
    member _.Gate = gate

    /// What a node was told of commits first.
    member _.ToldOf(node: int64) = (noticeOf node).Task

    /// The log before the group starts: entries of one term.
    member _.Wrote(term: int64, payloads: byte array list) =
        task {
            let entries = EntryLog(log, 7L)
            entries.Open(nothingApplied)
            let! _ = entries.SetTermAsync(fun hard -> HardState(term, hard.Vote, hard.CutIndex, hard.CutTerm)).AsTask()
            let records = [| for payload in payloads -> LogRecord.New(term, false, ReadOnlySpan payload) |]
            do! entries.TakeRoomAsync(records |> Array.sumBy _.LongLength, CancellationToken.None).AsTask()
            do! entries.AppendFromLeader(ReadOnlySpan records, entries.Last + 1L)
        }

    member _.Start() =
        task {
            let! started = soonResult (TableGroup.StartAsync(GroupSpec(7L, "table", incarnation), setting, new MemoryState(disk)))
            group <- Some started
        }

    /// A call of another node.
    member stage.Hears(from: int64, method: PeerMethod, request: byte array) =
        soonResult (stage.Group.Endpoint.HandleAsync(from, method, ReadOnlyMemory request, CancellationToken.None).AsTask())

    /// Stands for election now, until it leads: its first entry is committed then.
    member stage.Leads() =
        task {
            let mutable leads = false

            while not leads do
                let! reply = stage.Hears(2L, PeerMethod.Campaign, [||])
                leads <- RaftMessages.DecodeNumber reply = 1L
        }

    /// A leader's message to it.
    member stage.Append(from: int64, term: int64, previous: int64 * int64, commit: int64, entries: (int64 * byte array) list) =
        task {
            let sent = [| for term, payload in entries -> Entry(term, payload) |]
            let index, previousTerm = previous
            let request = RaftMessages.EncodeAppend<Entry, Entry array>(term, sent, index, previousTerm, commit)
            let! reply = stage.Hears(from, PeerMethod.Append, request)
            return RaftMessages.DecodeAppendReply reply
        }

    /// Completes when the group has applied an entry.
    member _.Applied(index: int64) : Task =
        task {
            while group.Value.Status.Applied.Index < index do
                do! Task.Delay 5
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    match group with
                    | Some started ->
                        failStop.Trigger "the test is over"
                        started.Abort "the test is over"
                        do! soon (started.DisposeAsync().AsTask())
                    | None -> ()

                    log.Dispose()
                    failStop.Dispose()
                }
                :> Task
            )
