/// Views of a table at one moment that all nodes have in common.
module Regatta.Raft.Tests.ExactViewTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife
open Regatta.Raft.Tests.SiteLife

/// What a view shows: revision, chain and content.
[<NoComparison>]
type private Seen = { Revision: int64; Chain: ChainHash; Content: TableHash }

let private openAt (group: ITableGroup) revision = group.OpenViewAsync(revision, CancellationToken.None).AsTask()

/// None: the table has passed the moment.
let private seenAt group revision =
    task {
        match! soonResult (openAt group revision) with
        | null -> return None
        | view ->
            use view = view

            return
                Some
                    { Revision = view.View.Revision
                      Chain = view.Chain
                      Content = TableHash.Of(view.View, CancellationToken.None) }
    }

/// Many callers on one group, so that entries hold several commands each and the applier takes several entries at a time.
let private writers (group: ITableGroup) count (stop: CancellationToken) =
    Task.WhenAll
        [| for writer in 1..count ->
               Task.Run<unit>(fun () ->
                   task {
                       while not stop.IsCancellationRequested do
                           let! _ = put group $"key{writer}" "x"
                           ()
                   }) |]

/// Writes one entry after the other while the applier is held in the first one: then it finds all the others at once.
let private committedAtOnce (life: Life) (group: TableGroup) count =
    task {
        use held = new ManualResetEventSlim()
        let committed = new SemaphoreSlim(0)
        let schedule = nonNull group.Entries.OnCommit
        let first = group.Entries.Commit
        life.State.Written <- fun _ -> held.Wait()

        group.Entries.OnCommit <-
            fun () ->
                schedule.Invoke()
                committed.Release() |> ignore

        let writing = ResizeArray<Task<int64>>()

        try
            for number in 1..count do
                writing.Add(put group "key" "x")

                while group.Entries.Commit < first + int64 number do
                    let! _ = soonResult (committed.WaitAsync patience)
                    ()
        finally
            held.Set()

        let! _ = soonResult (Task.WhenAll writing)
        group.Entries.OnCommit <- schedule
        life.State.Written <- ignore
    }

let private alone =
    testList
        "a group"
        [ taskCase "a view is of the moment that was asked for, however many entries there are to apply"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let asked = [ 3L; 2L; 5L; 3L ]
                  let views = asked |> List.map (seenAt group)
                  do! committedAtOnce life group 6
                  let! seen = Task.WhenAll views
                  Expect.equal [ for view in seen -> view |> Option.map _.Revision ] (asked |> List.map Some) "the moments"
                  Expect.equal seen[0] seen[3] "the same for all who ask for it"
                  Expect.equal group.Reader.Revision 6L "nothing is left out"
              }

          taskCase "in the middle of an entry there is no moment: the entry's end is the next one"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  use _ = life.Gate.OpenAtEnd()
                  let middle = seenAt group 5L
                  life.Gate.Close()
                  // One command goes alone, and those that wait for it are the second entry.
                  let first = put group "key" "x"
                  do! soon life.Gate.Reached
                  let others = [ for _ in 1..9 -> put group "key" "x" ]
                  life.Gate.Open()
                  let! _ = soonResult first
                  let! revisions = soonResult (Task.WhenAll others)
                  Expect.equal (Array.max revisions) 10L "the second entry's last revision"
                  let! middle = middle
                  Expect.equal (middle |> Option.map _.Revision) (Some 10L) "where it ends"
                  let! now = seenAt group 10L
                  Expect.equal now middle "which is the newest still"
              }

          taskCase "a moment that has passed is refused, and the newest one is not"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let! empty = seenAt group 0L
                  Expect.equal (empty |> Option.map _.Revision) (Some 0L) "before the first write"
                  let! _ = put group "a" "1"
                  let! _ = put group "a" "2"
                  let! past = seenAt group 1L
                  Expect.isNone past "revision 1"
                  let! now = seenAt group 2L
                  Expect.equal (now |> Option.map _.Chain) (Some group.Status.Applied.Chain) "revision 2"
              }

          taskCase "who cancels is let go, and the view that it waited for is not opened"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  use source = new CancellationTokenSource()
                  let never = group.OpenViewAsync(2L, source.Token).AsTask()
                  let other = openAt group 2L
                  source.Cancel()
                  do! ended never
                  Expect.isTrue never.IsCanceled "cancelled"
                  let before = life.State.Rows.OpenHandles
                  let! _ = put group "a" "1"
                  let! _ = put group "a" "2"
                  let! view = soonResult other
                  Expect.equal (life.State.Rows.OpenHandles - before) 1 "one view for the one who waits"
                  view |> Option.ofObj |> Option.iter (fun view -> (view :> IDisposable).Dispose())
                  Expect.equal life.State.Rows.OpenHandles before "and none when it is released"
              }

          taskCase "a group that stops lets go of those who wait"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use life = new Life(directory.Path, Disk())
                  let! group = life.Start()
                  let waiting = openAt group 99L
                  do! soon (group.DisposeAsync().AsTask())
                  let! why = failure waiting
                  Expect.isTrue (why :? ObjectDisposedException) $"{why}"
                  let! late = failure (openAt group 99L)
                  Expect.isTrue (late :? ObjectDisposedException) $"who comes later: {late}"
              } ]

let private together =
    testList
        "a site"
        [ taskCase "under writes all nodes show one moment: the same revision, history and content"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  // Slow at applying, one node finds many entries at a time, and comes to the moment last.
                  let slow = ref 0L
                  let applied node _ _ = if node = slow.Value then Thread.Sleep 3
                  use site = new Site(directory.Path, 3, [ 7L ], quick, { nobodyWatches with Applied = applied })
                  do! site.Start()
                  let! leader = site.Leader(7L, site.Ids)
                  slow.Value <- site.Ids |> List.find (fun id -> id <> leader)
                  use stop = new CancellationTokenSource()
                  let writing = writers (site.Node(leader).Group 7L) 20 stop.Token
                  let between = ResizeArray<int64>()

                  let wanted = Regatta.Testing.Scale.pick 20 500
                  let mutable tries = 0
                  let mutable ahead = 507L

                  while between.Count < wanted && tries < 10 * wanted do
                      tries <- tries + 1
                      let newest = site.Nodes |> List.map (fun node -> (node.Group 7L).Reader.Revision) |> List.max
                      // Far enough ahead for all nodes to be asked before it comes; and no multiple of the writers, who come and go together at times.
                      let asked = newest + ahead
                      let! seen = Task.WhenAll [| for node in site.Nodes -> seenAt (node.Group 7L) asked |]

                      match Array.choose id seen with
                      | [| first; _; _ |] as all ->
                          Expect.isGreaterThanOrEqual first.Revision asked "not before"
                          Expect.allEqual all first "one moment"
                          between.Add(first.Revision - asked)
                      | _ -> ahead <- 2L * ahead + 7L

                  stop.Cancel()
                  let! _ = soonResult writing
                  Expect.equal between.Count wanted $"all nodes were asked in time, in {tries} tries"
                  Expect.isGreaterThan (Seq.max between) 0L "some entry had more than one command, or this shows little"
              } ]

let tests = testList "exact views" [ alone; together ]
