/// What a caller may conclude from a call that failed.
module ClientOutcomeTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Client
open FakeSite
open ClientCalls

let private fates =
    testList
        "A call"
        [ testCaseTask "that is not answered in time: a read timed out, a write may have happened" (fun () ->
              task {
                  use! site = start ()
                  let never = TaskCompletionSource()
                  site.State.Fault <- fun _ _ -> never.Task
                  use client = connect impatient [ site.Endpoint ]
                  let! read = failure (client.Kv.RangeAsync(get "a", none))
                  let! write = failure (client.Kv.PutAsync(put "a" "1", none))
                  never.SetResult()
                  Expect.equal (read.Kind, write.Kind) (FailureKind.TimedOut, FailureKind.OutcomeUnknown) "kinds"
              })

          testCaseTask "that the node refuses changed nothing, and has the node's words" (fun () ->
              task {
                  use! site = start ()
                  use client = connect patient [ site.Endpoint ]

                  for code in
                      [ StatusCode.InvalidArgument
                        StatusCode.FailedPrecondition
                        StatusCode.NotFound
                        StatusCode.ResourceExhausted
                        StatusCode.Unauthenticated ] do
                      site.State.Fault <- fun _ _ -> refuseWith code "the reason"
                      let! write = failure (client.Kv.PutAsync(put "a" "1", none))
                      Expect.equal (write.Kind, write.Status, write.Message) (FailureKind.Refused, code, "the reason") (string code)
              })

          testCaseTask "of which the node does not know what became may have happened" (fun () ->
              task {
                  use! site = start ()
                  use client = connect patient [ site.Endpoint ]

                  for code in [ StatusCode.Unknown; StatusCode.Internal; StatusCode.Aborted; StatusCode.DataLoss; StatusCode.Cancelled ] do
                      site.State.Fault <- fun _ _ -> refuseWith code "the reason"
                      let! write = failure (client.Kv.PutAsync(put "a" "1", none))
                      Expect.equal write.Kind FailureKind.OutcomeUnknown (string code)
              })

          testCaseTask "that its caller cancels ends with a cancellation" (fun () ->
              task {
                  use! site = start ()
                  use cancel = new CancellationTokenSource()
                  let never = TaskCompletionSource()

                  site.State.Fault <-
                      fun _ _ ->
                          cancel.Cancel()
                          never.Task

                  use client = connect patient [ site.Endpoint ]

                  let! cancelled =
                      task {
                          try
                              let! _ = client.Kv.RangeAsync(get "a", cancel.Token)
                              return false
                          with :? OperationCanceledException ->
                              return true
                      }

                  never.SetResult()
                  Expect.isTrue cancelled "cancelled"
              }) ]

let all = testList "client" [ fates ]
