/// Replication between two sites above the Raft seam, in virtual time and on one thread: a leader site's tables with their real changelogs and feeds, a network that fails, and
/// a follower site of three nodes with the real pullers over simulated groups. Everything follows from the seed.
module Regatta.Replication.Tests.Simulation

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Replication

[<NoComparison>]
type Outcome =
    {
        Faults: string list
        Trace: string list
        /// The leader site's last revisions.
        Revisions: int64
        /// How many of them the follower site had when the storm was over.
        InStorm: int64
        /// In the follower site's logs.
        Entries: int64
        /// Nodes that changed over to a whole state, and that lacked one.
        Installed: int64
        Stalled: int64
        /// Tables that were deleted and made again.
        Remade: int
        /// Of sessions that hopped.
        Reads: int
        /// That watches were told of, which hopped, too.
        Events: int
        /// What the pullers said of themselves.
        States: Set<PullState>
    }

let private options windowBytes =
    PullOptions(
        WindowBytes = windowBytes,
        FirstWait = TimeSpan.FromMilliseconds 50.,
        LongestWait = TimeSpan.FromSeconds 1.,
        PollInterval = TimeSpan.FromMilliseconds 500.
    )

/// How long the storm lasts, and what the site may take to have everything when it is over: all that was begun in it has ended, and the longest wait has passed.
let private storm = TimeSpan.FromSeconds 12.
let private calm = TimeSpan.FromSeconds 15.

/// A node of the follower site, and what pulls there; it may be stopped and started, and it may die.
[<Sealed>]
type private Node(scene: Scene, id: int64, site: ILeaderSite, states: IStateSource) =
    let mutable stop = new CancellationTokenSource()
    let mutable running: (SitePuller * Task) option = None
    let mutable tables: Followed list = []

    member _.Id = id
    member _.Add table = tables <- tables @ [ table ]
    member _.Remove table = tables <- tables |> List.filter (fun other -> not (Object.ReferenceEquals(other, table)))

    member _.Start() =
        let options = options (scene.Choose [| 1L; 400L; 1L <<< 20 |])
        let targets = fun () -> tables |> Seq.map (fun table -> table.Target id)
        let puller = SitePuller(targets, id, true, site, options, scene.Random, scene.Time, NullLogger<SitePuller>.Instance, states)
        stop <- new CancellationTokenSource()
        running <- Some(puller, puller.RunAsync stop.Token)

    member _.Stop() =
        match running with
        | Some(_, task) ->
            stop.Cancel()
            if not task.IsCompletedSuccessfully then scene.Blame $"the puller of node {id} did not stop at once"
            running <- None
        | None -> ()

    member node.Crash() =
        node.Stop()

        for table in tables do
            table.Group(id).Crash()

    member node.Restart() =
        for table in tables do
            table.Group(id).Restart()

        if running.IsNone then node.Start()

    member _.Status(table: Followed) = running |> Option.bind (fun (puller, _) -> puller.Status table.Life.Number |> Option.ofObj)
    member node.Statuses = tables |> List.choose node.Status

/// An event that happens again and again, as long as the storm lasts.
let rec private again (scene: Scene) longest event =
    scene.After(
        TimeSpan.FromMilliseconds(float (scene.Random.Next longest)),
        fun () ->
            if scene.IsStormy then
                event ()
                again scene longest event
    )

/// An event that happens again and again, in the storm and after it.
let rec private always (scene: Scene) (milliseconds: float) event =
    scene.After(
        TimeSpan.FromMilliseconds milliseconds,
        fun () ->
            event ()
            always scene milliseconds event
    )

/// The table of that name is deleted at the leader site, and another one made; the nodes of the follower site hear of it when they do.
let private remake (scene: Scene) (site: LeaderSite) (nodes: Node array) (old: Followed) isNewest bug =
    let life = Incarnation(old.Life.History, old.Life.Number + 1L)
    let made = Followed(scene, old.Name, life, Some old.Own, bug)
    scene.Tell(fun () -> $"{old.Own} is deleted, and {made.Own} made")
    site[old.Name] <- NoSuchTable
    scene.After(scene.While 500, (fun () -> if isNewest made then made.AnswerAt site ()))

    for node in nodes do
        scene.After(
            scene.While 2000,
            fun () ->
                node.Remove old
                old.Group(node.Id).Close()
                scene.After(scene.While 1000, (fun () -> if not (made.Group(node.Id).IsClosed) then node.Add made))
        )

    made

let private checkTheEnd (scene: Scene) (nodes: Node array) (table: Followed) =
    for node in table.Groups.Nodes do
        if node.Revision <> table.Own.Revision then
            scene.Blame
                $"{node} is at revision {node.Revision} when all has been well for {calm}, and the leader site at {table.Own.Revision}"

    match nodes[int table.Groups.Leader - 1].Status table with
    | Some status when status.State = PullState.Following && status.LeaderRevision = table.Own.Revision -> ()
    | other -> scene.Blame $"the puller of {table.Own} says in the end: {other}"

let run (bug: PlantedBug) (isTraced: bool) (seed: int) =
    let scene = Scene(seed, isTraced)
    let site = LeaderSite scene
    let history = Guid "0b35b0cd-d6cb-41fd-8eb0-1d1e4f7eb1d5"
    let lasting = Followed(scene, "lasting", Incarnation(history, 7L), None, bug)
    let mutable passing = Followed(scene, "passing", Incarnation(history, 20L), None, bug)
    let mutable former = []
    let mutable said = Set.empty
    let tables () = [ lasting; passing ]

    // The next call after the one that says that a state is needed may be answered by somebody else.
    let answerForStates name =
        if scene.IsStormy && scene.Random.Next 3 = 0 then
            (if name = lasting.Name then lasting else passing).Intruder()
        else
            site[name]

    let states = LeaderStates(scene, answerForStates)
    let nodes = [| for id in 1L .. 3L -> Node(scene, id, site, states) |]

    for table in tables () do
        table.AnswerAt site ()

        for node in nodes do
            node.Add table

    for node in nodes do
        node.Start()

    let bounds = Dictionary<Followed, Bounds>(HashIdentity.Reference)

    let boundsOf table =
        match bounds.TryGetValue table with
        | true, found -> found
        | false, _ ->
            let made = Bounds(scene, site, table, bug)
            bounds.Add(table, made)
            made

    always scene 200. (fun () ->
        for table in tables () do
            for index in 0..2 do
                (boundsOf table).Probe index)

    let watchers = Dictionary<Followed, Watchers>(HashIdentity.Reference)

    let watchersOf table =
        match watchers.TryGetValue table with
        | true, found -> found
        | false, _ ->
            let made = Watchers(scene, table)
            watchers.Add(table, made)
            made

    again scene 150 (fun () ->
        for table in tables () do
            (watchersOf table).Step())

    let sessions = [ for _ in 1..3 -> HoppingSession(scene, tables, bug) ]

    again scene 300 (fun () ->
        for session in sessions do
            session.Step())

    again scene 200 (fun () ->
        for node in nodes do
            for status in node.Statuses do
                said <- Set.add status.State said)

    again scene 1000 (fun () ->
        let table = scene.Choose [| lasting; lasting; passing |]

        for _ in 0 .. scene.Random.Next 4 do
            table.Own.Write())

    again scene 1500 (fun () -> (scene.Choose [| lasting; passing |]).Own.Trim())
    again scene 3000 (fun () -> (scene.Choose [| lasting; passing |]).Groups.Lead(int64 (scene.Random.Next 4)))

    again scene 2000 (fun () ->
        let table = scene.Choose [| lasting; passing |]
        if scene.Random.Next 2 = 0 then table.AnswerAt site () else site[table.Name] <- table.Intruder())

    again scene 10_000 (fun () ->
        former <- passing :: former
        passing <- remake scene site nodes passing (fun table -> Object.ReferenceEquals(table, passing)) bug)

    again scene 6000 (fun () ->
        let node = scene.Choose nodes

        if scene.Random.Next 2 = 0 then
            node.Stop()
        else
            node.Crash()

            for known in bounds.Values do
                known.Forget(int node.Id - 1)

            for known in watchers.Values do
                known.Forget(int node.Id - 1)

        scene.After(scene.While 500, node.Restart))

    let mutable inStorm = 0L

    let play () =
        scene.Time.Advance storm
        scene.IsStormy <- false
        inStorm <- tables () |> List.sumBy _.Groups.CommittedRevision
        scene.Tell(fun () -> "the storm is over")

        for table in tables () do
            table.AnswerAt site ()
            table.Groups.Lead(1L + int64 (scene.Random.Next 3))

        scene.Time.Advance calm
        tables () |> List.iter (checkTheEnd scene nodes)

        for table in tables () do
            (boundsOf table).CheckTheEnd()
            (watchersOf table).CheckTheEnd()

        for node in nodes do
            node.Stop()

    try
        play ()
    with e ->
        scene.Blame(string e)

    scene.Time.Strayed
    |> Option.iter (fun where -> scene.Blame $"something ran on another thread, and the simulation is not repeatable: {where}")

    let total field = tables () @ former |> List.sumBy field

    { Faults = scene.Faults
      Trace = scene.Trace
      Revisions = tables () |> List.sumBy _.Own.Revision
      InStorm = inStorm
      Entries = total _.Groups.Commit
      Installed = total _.Groups.Installed
      Stalled = total _.Groups.Stalled
      Remade = former.Length
      Reads = sessions |> List.sumBy _.Reads
      Events = watchers.Values |> Seq.sumBy _.Had
      States = said }
