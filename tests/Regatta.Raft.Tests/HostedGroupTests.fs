/// What requests meet while a group is replaced by another one.
module Regatta.Raft.Tests.HostedGroupTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.GroupLife
open Regatta.Raft.Tests.HostedSite

/// A group that has stopped, and whose successor comes, as `make` says, when the test lets it; the test is given the exchange, too.
let private replacedOr (failed: exn -> unit) (make: Life -> Task<TableGroup>) (test: HostedGroup -> Task -> (unit -> unit) -> Task<unit>) =
    task {
        use directory = new TemporaryDirectory()
        use life = new Life(directory.Path, Disk())
        let! first = life.Start()
        let hosted = HostedGroup first
        let stopped = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously
        let goOn = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously

        let swap =
            hosted.SwapAsync(
                (fun () ->
                    task {
                        stopped.SetResult()
                        do! goOn.Task
                        return! make life
                    }),
                failed
            )

        do! soon stopped.Task
        do! test hosted swap goOn.SetResult
    }

let private replaced make test () = replacedOr (fun cause -> failtest $"{cause}") make test

let tests =
    testList
        "a group that is replaced"
        [ taskCase "reads and writes that come in between are served by the new one"
          <| replaced _.Start() (fun hosted swap goOn ->
              task {
                  let reading = hosted.ReadBarrierAsync(CancellationToken.None).AsTask()
                  let viewing = hosted.OpenViewAsync(1L, CancellationToken.None).AsTask()
                  let writing = put hosted "key" "value"
                  goOn ()
                  do! soon swap
                  let! read = soonResult reading
                  Expect.isTrue read.Succeeded $"the barrier: {read.Reason}"
                  let! _ = soonResult writing
                  Expect.equal hosted.Reader.Revision 1L "the write is there, once"
                  use! view = soonResult viewing
                  Expect.equal (view |> Option.ofObj |> Option.map _.View.Revision) (Some 1L) "the view of it"
              })

          taskCase "waits end with it when there is no new one, and not with what kept that from coming"
          <| fun () ->
              let waiting = TaskCompletionSource<Task>()
              let mutable told = []
              // Long enough for one who waits to hear of it, if he does.
              let failed (cause: exn) = told <- (cause.Message, (waiting.Task.Result :> IAsyncResult).AsyncWaitHandle.WaitOne 200) :: told

              replacedOr failed (fun _ -> task { return raise (IOException "the files cannot be opened") }) (fun hosted swap goOn ->
                  task {
                      let waits = hosted.WaitForRevisionAsync(1L, CancellationToken.None).AsTask()
                      waiting.SetResult waits
                      goOn ()
                      let! cause = failure swap
                      Expect.stringContains cause.Message "cannot be opened" "who replaces it"
                      let! end' = failure waits
                      Expect.isTrue (end' :? ObjectDisposedException) $"who waits: {end'}"
                      Expect.equal told [ cause.Message, false ] "who has to see to it is told before"
                  })

          taskCase "tells those who wait for it that the disk has failed, though it came when all others were told"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use site = new HostedSite(directory.Path)
                  do! site.Start 7L
                  let! first = soonResult (site.StartGroup(1L, 7L))
                  let waits = first.WaitForRevisionAsync(100L, CancellationToken.None).AsTask()
                  site.Node(1L).Host.Setting.FailStop.Trigger "the disk is gone"
                  let! end' = failure waits
                  Expect.stringContains end'.Message "the disk is gone" "of a group that was there"
                  let! second = soonResult (site.StartGroup(1L, 8L))
                  let! end' = failure (second.WaitForRevisionAsync(100L, CancellationToken.None).AsTask())
                  Expect.stringContains end'.Message "the disk is gone" "of one that came"
              } ]
