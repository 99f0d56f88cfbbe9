/// The bound on staleness in virtual time: it never says that a table is more recent than it is, whatever becomes of probes, of either history and of the changelog.
module Regatta.Node.Tests.FreshnessTests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open FsCheck.FSharp
open Regatta.Core
open Regatta.Node
open Regatta.Protocol.Replication
open Regatta.Protocol.V1
open Regatta.Raft
open Regatta.Replication
open Regatta.Testing

/// Microseconds that pass when the test says so.
type private Clock() =
    inherit TimeProvider()
    member val Now = 1_000_000_000L with get, set
    override clock.GetTimestamp() = clock.Now
    override _.TimestampFrequency = 1_000_000L

/// A history: the chain hash at each revision, and when it was committed.
[<NoComparison>]
type private Commit = { Chain: ChainHash; At: int64 }

/// A table as a node has it. Where it was trimmed the chain hashes are gone, but for the newest.
type private Table() =
    let mutable oldest = 1
    member val Commits = List<Commit>() with get
    member table.Count = table.Commits.Count
    member table.Trim(revision: int) = oldest <- max oldest (min revision table.Count)

    interface ITableReader with
        member table.Revision = int64 table.Count

        member table.ReadChain revision =
            match int revision with
            | 0 -> ChainRead(true, ChainHash(), 1L)
            | at when at < oldest && at < table.Count -> ChainRead(false, ChainHash(), int64 oldest)
            | at -> ChainRead(true, table.Commits[at - 1].Chain, int64 oldest)

        member _.Get(_, _) = raise (NotSupportedException())
        member _.OpenView() = raise (NotSupportedException())
        member _.OpenChanges(_, _) = raise (NotSupportedException())

let private group (table: Table) =
    { new ITableGroup with
        member _.GroupId = 7L
        member _.Reader = table
        member _.ProposeAsync(_, _) = raise (NotSupportedException())
        member _.ReadBarrierAsync _ = ValueTask<BarrierOutcome>(BarrierOutcome())
        member _.LedAtAsync _ = raise (NotSupportedException())
        member _.WaitForRevisionAsync(_, _) = raise (NotSupportedException())
        member _.OpenViewAsync(_, _) = raise (NotSupportedException())
        member _.MoveLeaderAsync(_, _) = raise (NotSupportedException())
        member _.Term = 1L
        member _.LeaderNodeId = 1L
        member _.Fault = null
        member _.Status = raise (NotSupportedException())
        member _.DisposeAsync() = ValueTask.CompletedTask }

/// One side: a table, what is known of its freshness, and how that travels.
type private Node(clock: Clock) =
    static let history = Guid.Parse "0f0e0d0c-0b0a-0908-0706-050403020100"
    let table = Table()
    let served = ServedTable("t", Incarnation(history, 3L), group table, 1UL)

    let tables =
        let all = ServedTables()
        all.Publish(TableSnapshot([ served ], Dictionary()))
        all

    member _.Table = table
    member _.Served = served
    member _.Fresh = served.Fresh
    member val Messages = ProbeMessages(tables, history, clock) with get

[<NoComparison>]
type private Probe = { Asked: int64; mutable Answer: ProbeResponse option }

type private World() =
    let clock = Clock()
    let mutable leader = Node clock
    let follower = Node clock
    let probes = List<Probe>()
    let mutable chains = 0UL

    let commit () =
        chains <- chains + 1UL
        leader.Table.Commits.Add { Chain = ChainHash(UInt128(0UL, chains)); At = clock.Now }

    /// The leader site's node finds out, from a heartbeat a while ago.
    let confirm (ago: int64) =
        let own = Sighting.Of(leader.Table, clock.Now - ago)

        if own.HasValue then
            let own = own.Value
            leader.Fresh.Confirm &own

    let answer (probe: Probe) = probe.Answer <- Some(leader.Messages.Known clock.Now)

    let deliver (probe: Probe) =
        probes.Remove probe |> ignore
        probe.Answer |> Option.iter (fun answer -> follower.Messages.Take(answer, probe.Asked))

    let isPrefix () =
        follower.Table.Count <= leader.Table.Count
        && Seq.forall2
            (fun one other -> one.Chain = other.Chain)
            follower.Table.Commits
            (Seq.truncate follower.Table.Count leader.Table.Commits)

    /// All of the leader site's table takes the place of the follower's, in one step.
    let adopt () =
        follower.Table.Commits.Clear()
        follower.Table.Commits.AddRange leader.Table.Commits

    let apply count =
        if isPrefix () then
            follower.Table.Commits.AddRange(leader.Table.Commits |> Seq.skip follower.Table.Count |> Seq.truncate count |> List.ofSeq)

    /// The leader site is set back to an older state: its nodes start anew, and know nothing.
    let setBack revision =
        let before = leader.Table.Commits
        leader <- Node clock
        leader.Table.Commits.AddRange(Seq.truncate revision before)

    let pick (size: int) = if probes.Count = 0 then None else Some probes[size % probes.Count]

    /// Two numbers are a step: what happens, and how much of it.
    member _.Step(what: int, size: int) =
        match what with
        | 0
        | 1 -> clock.Now <- clock.Now + int64 (size * size) + 1L
        | 2
        | 3 -> commit ()
        | 4 -> confirm (int64 size * 10L)
        | 5 -> probes.Add { Asked = clock.Now; Answer = None }
        | 6 -> pick size |> Option.iter answer
        | 7 -> pick size |> Option.iter deliver
        | 8
        | 9 -> apply (size % 4)
        | 10 -> follower.Table.Trim(follower.Table.Count - size % 5)
        | 11 when size < 30 -> setBack (leader.Table.Count - leader.Table.Count * size / 300)
        | _ when size > 90 -> adopt ()
        | _ -> ()

    /// Everything that was committed before the moment is here.
    member _.Check() =
        let moment = follower.Fresh.Moment

        for revision in 1 .. leader.Table.Count do
            let commit = leader.Table.Commits[revision - 1]

            if commit.At < moment then
                Expect.isGreaterThanOrEqual
                    follower.Table.Count
                    revision
                    $"revision {revision} was committed at {commit.At}, before {moment}"

                Expect.equal follower.Table.Commits[revision - 1].Chain commit.Chain $"revision {revision} is another one here"

    /// A connected follower finds out; its bound is then as narrow as the probe was quick.
    member _.CatchUp() =
        adopt ()
        clock.Now <- clock.Now + 2_000L
        let asked = clock.Now
        confirm 50L
        let probe = { Asked = asked; Answer = None }
        answer probe
        deliver probe

        Expect.isGreaterThanOrEqual
            follower.Fresh.Moment
            (asked - 53L)
            "as recent as it was asked for, but for the heartbeat's age and rounding"

let private steps = Gen.listOf (Gen.zip (Gen.choose (0, 12)) (Gen.choose (0, 100))) |> Gen.resize 300

let private shrink (steps: (int * int) list) = seq { for at in 0 .. steps.Length - 1 -> List.removeAt at steps }

let private play (steps: (int * int) list) =
    let world = World()

    for what, size in steps do
        world.Step(what, size)
        world.Check()

    world.CatchUp()
    world.Check()

let private otherHistory =
    testCase "an answer of another history is refused" (fun () ->
        let node = Node(Clock())
        let reply = ProbeResponse(HistoryId = Bytes.ofLength 16)
        Expect.throwsT<IO.IOException> (fun () -> node.Messages.Take(reply, 0L)) "refused")

let private fallsBehind =
    testCase "a table that lags far behind has a bound all the same" (fun () ->
        let clock = Clock()
        let node = Node clock
        let chain (revision: int64) = ChainHash(UInt128(0UL, uint64 revision))

        for revision in 1L .. 1000L do
            clock.Now <- clock.Now + 200_000L
            let sighting = Sighting(revision, chain revision, clock.Now)
            node.Fresh.Saw &sighting

        Expect.equal node.Fresh.Moment TableFreshness.Unknown "nothing is here yet"
        let ages = List<int64>()

        for revision in 1L .. 1000L do
            node.Table.Commits.Add { Chain = chain revision; At = 0L }
            let known = node.Fresh.Moment
            if known <> TableFreshness.Unknown then ages.Add known

        Expect.equal (Seq.last ages) clock.Now "up to date in the end"
        Expect.isGreaterThan (Seq.length (Seq.distinct ages)) 4 "and getting there by and by")

/// The process is stopped in the middle of a read that asks for a bound.
let private stopped =
    testCase "what has become too old while it was read is read again, behind what is found out anew" (fun () ->
        let clock = Clock()
        let node = Node clock
        let own = Sighting(0L, ChainHash(), clock.Now - 20_000L)
        node.Fresh.Confirm &own
        let freshness = Freshness(null, true, StalenessTrailers("here", clock), clock)
        use deadline = new CallDeadline(CallDeadlines(TimeSpan.FromMinutes 1.0, TimeProvider.System))
        let mutable reads = 0

        let read () =
            reads <- reads + 1
            if reads = 1 then clock.Now <- clock.Now + 10_000_000L
            reads

        let request = RangeRequest(MaxStalenessMs = 50UL)
        let result = freshness.ReadAsync(request, node.Served, deadline, read).AsTask().GetAwaiter().GetResult()
        Expect.equal result.What 2 "read again"
        Expect.isLessThanOrEqual result.Staleness.Value (TimeSpan.FromMilliseconds 50.0) "and recent enough then")

let tests =
    testList
        "Freshness"
        [ Property.test "a bound is never too low, and a connected follower gets one" (Scale.pick 2_000 100_000) steps shrink play
          fallsBehind
          stopped
          otherHistory ]
