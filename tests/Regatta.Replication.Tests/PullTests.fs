module Regatta.Replication.Tests.PullTests

open System
open System.Collections.Immutable
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging.Abstractions
open Regatta.Core
open Regatta.Raft
open Regatta.Replication
open Regatta.Storage

let private history = Guid "0b35b0cd-d6cb-41fd-8eb0-1d1e4f7eb1d5"
let private life = Incarnation(history, 7L)
let private put: TableCommand = PutCommand(ReadOnlyMemory "k"B, ReadOnlyMemory "v"B, false)
let private commands revisions = ImmutableArray.CreateRange(revisions |> Seq.map (fun revision -> RevisedCommand(revision, put)))
let private batch before = ReplicatedBatch(life, before, ImmutableArray.Create put)

/// What is left of a batch: the revision before it, and for each of its commands whether it changes something.
let private shape (batch: ReplicatedBatch | null) =
    batch |> Option.ofObj |> Option.map (fun batch -> batch.Before, [ for command in batch.Commands -> command = put ])

let private waits =
    let options = PullOptions(FirstWait = TimeSpan.FromMilliseconds 100., LongestWait = TimeSpan.FromMilliseconds 500.)

    /// Always the same number from 0 to 1.
    let always (share: float) =
        { new Random() with
            member _.NextDouble() = share }

    let waits (backoff: Backoff) count = List.init count (fun _ -> backoff.Next().TotalMilliseconds)

    [ testCase "between attempts grow up to the longest, and begin anew" (fun () ->
          let backoff = Backoff(options, always 0.)
          Expect.equal (waits backoff 5) [ 100.; 200.; 400.; 500.; 500. ] "without chance"
          backoff.Reset()
          Expect.equal (waits backoff 2) [ 100.; 200. ] "from the first one on")
      testCase "are up to half shorter by chance, each by itself" (fun () ->
          Expect.equal (waits (Backoff(options, always 1.)) 4) [ 50.; 100.; 200.; 250. ] "the most that is taken off"
          Expect.equal (waits (Backoff(options, always 0.5)) 4) [ 75.; 150.; 300.; 375. ] "half of it") ]

let private histories =
    let next revision gap revisions =
        let history = PulledHistory(life, revision, gap)
        shape (history.Next(commands revisions)), history.Revision

    let refuses revisions why () =
        try
            next 5L 2 revisions |> ignore
            failtest $"%A{revisions} are taken"
        with :? InvalidDataException as e ->
            Expect.equal e.Message why "why"

    [ testCase "a batch begins directly behind the one before" (fun () ->
          let history = PulledHistory(life, 5L, 0)
          Expect.equal (shape (history.Next(commands [ 6L; 7L ]))) (Some(5L, [ true; true ])) "the first"
          Expect.equal (shape (history.Next(commands [ 8L ]))) (Some(7L, [ true ])) "the second")
      testCase "revisions that the table has are passed over" (fun () ->
          Expect.equal (next 5L 0 [ 4L; 5L; 6L ]) (Some(5L, [ true ]), 6L) "one is new"
          Expect.equal (next 5L 0 [ 3L; 4L; 5L ]) (None, 5L) "none is new"
          Expect.equal (next 5L 0 []) (None, 5L) "there is none")
      testCase "revisions that are left out change nothing" (fun () ->
          Expect.equal (next 5L 2 [ 8L; 9L ]) (Some(5L, [ false; false; true; true ]), 9L) "as many as may be")
      testCase
          "more left out than may be is refused"
          (refuses [ 9L ] "the leader site left out 3 revisions behind 5; at most 2 can be filled")
      testCase "a revision that comes twice is refused" (refuses [ 6L; 6L ] "the leader site sent revision 6 behind revision 6")
      testCase
          "one that has passed comes twice, and is refused"
          (refuses [ 4L; 4L; 6L ] "the leader site sent revision 4 behind revision 4")
      testCase "revisions that do not ascend are refused" (refuses [ 7L; 6L ] "the leader site sent revision 6 behind revision 7") ]

let private windows =
    let isCancelled (adding: Tasks.Task) = Expect.isTrue adding.IsCanceled "it is not taken"

    let windowOf bytes =
        let group = ScriptedGroup life
        let failed = new CancellationTokenSource()
        let window = PullWindow(group, bytes, failed, CancellationToken.None)
        group, failed, (fun before -> window.AddAsync(batch before, failed.Token)), window

    let proposed (group: ScriptedGroup) =
        [ for command in group.Proposed -> (command :?> ReplicatedBatch).Before, (command :?> ReplicatedBatch).Commands.Length ]

    let size = EntryWriter.Measure(batch 0L)

    [ testCase "what comes while a batch is on its way goes together behind it" (fun () ->
          let group, _, add, window = windowOf 1_000_000L
          let adding = [ for before in 0L .. 3L -> add before ]
          Expect.all adding _.IsCompletedSuccessfully "there is room"
          Expect.equal (proposed group) [ 0L, 1 ] "the first one goes at once"
          group.Apply 0
          Expect.equal (proposed group) [ 0L, 1; 1L, 3 ] "the others when it is applied"
          let draining = window.DrainAsync()
          Expect.isFalse draining.IsCompleted "they are on their way"
          group.Apply 1
          Expect.isTrue draining.IsCompletedSuccessfully "nothing is"
          Expect.equal (group.Revision, window.Failure) (4L, null) "all are applied"
          add 4L |> ignore
          Expect.equal (proposed group) [ 0L, 1; 1L, 3; 4L, 1 ] "the next one goes at once again")
      testCase "no more waits than there is room for" (fun () ->
          let group, _, add, _ = windowOf (2L * size)
          let adding = [ for before in 0L .. 3L -> add before ]
          Expect.equal (adding |> List.map _.IsCompletedSuccessfully) [ true; true; true; false ] "two wait behind the first"
          group.Apply 0
          Expect.isTrue adding[3].IsCompletedSuccessfully "there is room again"
          Expect.equal (proposed group) [ 0L, 1; 1L, 2 ] "proposed")
      testCase "a batch that is larger than the room waits alone" (fun () ->
          let group, _, add, _ = windowOf 1L
          let adding = [ for before in 0L .. 2L -> add before ]
          Expect.equal (adding |> List.map _.IsCompletedSuccessfully) [ true; true; false ] "one waits"
          group.Apply 0
          group.Apply 1
          Expect.equal (proposed group) [ 0L, 1; 1L, 1; 2L, 1 ] "proposed")
      testCase "behind a batch that fails no other one is proposed" (fun () ->
          let group, failed, add, window = windowOf size
          add 0L |> ignore
          add 1L |> ignore
          let waiting = add 2L
          group.Fail 0
          Expect.isTrue failed.IsCancellationRequested "the stream ends"
          isCancelled waiting
          isCancelled (add 2L)
          Expect.equal (proposed group) [ 0L, 1 ] "proposed"
          Expect.equal window.Failure "no leader" "the reason"
          Expect.isTrue (window.DrainAsync().IsCompletedSuccessfully) "nothing is on its way")
      testCase
          "behind a batch that is skipped no other one is proposed, although the table may have come to where it begins by another way"
          (fun () ->
              let group, failed, add, window = windowOf 1_000_000L
              add 0L |> ignore
              add 1L |> ignore
              // Another puller's.
              (group :> ITableGroup).ProposeAsync(batch 0L, CancellationToken.None) |> ignore
              group.Apply 1
              group.Apply 0
              Expect.isTrue failed.IsCancellationRequested "the stream ends"

              Expect.equal
                  (group.Revision, proposed group)
                  (1L, [ 0L, 1; 0L, 1 ])
                  "the other puller's is applied, and nothing on top of it"

              Expect.stringContains (nonNull window.Failure) "revision 1 and not at 0" "the reason") ]

/// A puller on a leader site that says this; the group, and what the puller says after a second.
let private pull compares streams check =
    let scene = Scene(1, false)
    let group = ScriptedGroup(life, IsEager = true)
    let leader = ScriptedLeader streams
    let puller = TablePuller(group, "t", life, compares, leader, PullOptions(), scene.Random, scene.Time, NullLogger.Instance)
    use stop = new CancellationTokenSource()
    let running = puller.RunAsync stop.Token
    scene.Time.Advance(TimeSpan.FromSeconds 1.)
    check (group, leader, puller.Status)
    stop.Cancel()
    Expect.isTrue running.IsCompletedSuccessfully "it stops"

let private isRefused compares item state () =
    pull compares [ [ item ] ] (fun (group, leader, status) ->
        Expect.isEmpty group.Proposed "proposed"
        Expect.isGreaterThan leader.Opened 1 "the stream ends, and another one is asked for"
        Expect.equal status.State state "state"
        Expect.isNotEmpty status.Reason "reason"
        Expect.equal status.LeaderRevision 0L "what another history has come to says nothing")

let private lives =
    let item revision (other: Incarnation) = PulledItem(FeedItem.Commands(commands [ revision ]), revision, Nullable other)
    let unnamed = PulledItem(FeedItem.Commands(commands [ 1L ]), 1L, Nullable())

    let isTaken compares item () =
        pull compares [ [ item ] ] (fun (group, _, status) ->
            Expect.equal (group.Revision, status.State) (1L, PullState.Following) "revision and state")

    [ testCase "what names the table's life is taken" (isTaken true (item 1L life))
      testCase "what names no life is not taken" (isRefused true unnamed PullState.Fenced)
      testCase "what names another history is not taken" (isRefused true (item 1L (Incarnation(Guid.Empty, 7L))) PullState.Fenced)
      testCase "what names an earlier life is not taken" (isRefused true (item 1L (Incarnation(history, 6L))) PullState.Fenced)
      testCase
          "what names a later life is not taken, and the catalogue's news waited for"
          (isRefused true (item 1L (Incarnation(history, 8L))) PullState.CatchingUp)
      testCase "from a leader site of the Go project, what names no life is taken" (isTaken false unnamed)
      testCase "from a leader site of the Go project, what names a life is not taken" (isRefused false (item 1L life) PullState.Fenced)
      testCase "the leader site is where it says on each stream, also if that is less than before" (fun () ->
          let ends revision = PulledItem(FeedItem.End(), revision, Nullable life)

          pull true [ [ item 1L life; ends 9L ]; [ ends 1L ] ] (fun (_, leader, status) ->
              Expect.equal leader.Opened 2 "streams"
              Expect.equal (status.State, status.LeaderRevision) (PullState.Following, 1L) "what the puller says")) ]

/// A follower that needs a whole state, and a source that has it at once or fails.
let private needing (stage: unit -> Task<InstallCommand>) check =
    let scene = Scene(1, false)
    let group = ScriptedGroup(life)
    let leader = ScriptedLeader [ [ PulledItem(FeedItem.UseSnapshot(), 9L, Nullable life) ] ]

    let states =
        { new IStateSource with
            member _.StageAsync(_, _, _, _) = stage () }

    let puller =
        TablePuller(group, "t", life, true, leader, PullOptions(), scene.Random, scene.Time, NullLogger.Instance, states)

    use stop = new CancellationTokenSource()
    let running = puller.RunAsync stop.Token
    check (scene, group, puller)
    stop.Cancel()
    group.FailAll()
    Expect.isTrue running.IsCompletedSuccessfully "it stops"

let private installations =
    [ testCase
          "an installation that the group refuses is not taken for done: the puller says what is missing, and waits before it tries again"
          (fun () ->
              let install () = Task.FromResult(InstallCommand(life, 9L, ChainHash(), UInt128.Zero))

              needing install (fun (scene, group, puller) ->
                  Expect.hasLength group.Proposed 1 "the installation"
                  group.Fail 0
                  Expect.hasLength group.Proposed 1 "not at once again"
                  Expect.equal puller.Status.State PullState.Snapshot "state"
                  Expect.stringContains puller.Status.Reason "does not get one: no leader" "reason"
                  scene.Time.Advance(TimeSpan.FromSeconds 1.)
                  Expect.hasLength group.Proposed 2 "later"))

      testCase
          "a state that this node's disk does not take does not end the puller: it says why, and waits before it tries again"
          (fun () ->
              let mutable tries = 0

              let damaged () =
                  tries <- tries + 1
                  Task.FromException<InstallCommand>(StorageCorruptionException "current is damaged")

              needing damaged (fun (scene, group, puller) ->
                  Expect.equal tries 1 "not at once again"
                  Expect.equal (puller.Status.State, puller.Status.Reason) (PullState.Refused, "current is damaged") "state"
                  scene.Time.Advance(TimeSpan.FromSeconds 1.)
                  Expect.isGreaterThan tries 1 "later"
                  Expect.isEmpty group.Proposed "proposed")) ]

let tests =
    testList
        "pulling"
        [ testList "waits" waits
          testList "history" histories
          testList "window" windows
          testList "lives" lives
          testList "whole states" installations ]
