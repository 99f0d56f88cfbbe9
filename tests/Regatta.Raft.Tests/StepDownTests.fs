/// What a leader still takes while it steps down.
module Regatta.Raft.Tests.StepDownTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Logging
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.Puppets

/// DotNext says this when the new term is in the log already, and the node is the old one's leader still.
let private whenStepsDown (act: unit -> unit) =
    { new ILoggerFactory with
        member _.AddProvider _ = ()
        member _.Dispose() = ()

        member _.CreateLogger _ =
            { new ILogger with
                member _.BeginScope _ = null
                member _.IsEnabled _ = true

                member _.Log(_, event, state, cause, format) =
                    if format.Invoke(state, cause).Contains("Member is downgrading to follower", StringComparison.Ordinal) then act () } }

let tests =
    testSequenced (
        testList
            "Stepping down"
            [ taskCase "a write that comes in the middle of it gets no place in the log under the new leader's term"
              <| fun () ->
                  task {
                      use directory = new TemporaryDirectory()
                      let mutable stage: Stage option = None
                      let mutable write: Task<ProposalOutcome> option = None

                      let proposes () =
                          match stage, write with
                          | Some stage, None ->
                              write <-
                                  Some(
                                      stage.Group.ProposeAsync(PutCommand(bytes "late", bytes "1", false), CancellationToken.None).AsTask()
                                  )
                              // Before the node is a follower: this is one of DotNext's threads, which it holds up.
                              write.Value.Wait(TimeSpan.FromSeconds 1.) |> ignore
                          | _ -> ()

                      use running = new Stage(directory.Path, 3, untimed, whenStepsDown proposes)
                      do! running.Start()
                      do! running.Leads()
                      let! _ = put running.Group "before" "1"
                      let last, term = running.Group.Entries.Last, running.Group.Term
                      stage <- Some running
                      // The new leader has an entry of its own there. That is its term's only one at that index, or Raft promises nothing.
                      let! beat = running.Append(2L, term + 1L, (last + 1L, term + 1L), last + 1L, [])
                      Expect.isSome write "it came in the middle"
                      Expect.equal running.Group.Entries.Last last "it is not in the log"

                      Expect.equal
                          beat.Result
                          DotNext.Net.Cluster.Consensus.Raft.HeartbeatResult.Rejected
                          "and is not taken for the new leader's entry"
                  } ]
    )
