module PutPipelineTests

open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Client
open FakeSite
open ClientCalls

let private recordsThen (ended: unit -> unit) (pairs: (string * string) list) =
    let list = pairs |> List.mapi (fun i (key, value) -> PutRecord(int64 i + 1L, bytes key, bytes value))

    { new IAsyncEnumerable<PutRecord> with
        member _.GetAsyncEnumerator _ =
            let inner = (list :> seq<PutRecord>).GetEnumerator()

            { new IAsyncEnumerator<PutRecord> with
                member _.Current = inner.Current
                member _.MoveNextAsync() = ValueTask<bool>(inner.MoveNext())

                member _.DisposeAsync() =
                    ended ()
                    ValueTask.CompletedTask } }

let private records = recordsThen ignore

/// Runs a thousand records. None behind the record of number `behind` gets an answer before the pipeline has stopped reading, so that only what
/// the window had let through is written then; one that it should not have let through opens the way for all.
let private stopsAt behind window (fault: Fault) (site: FakeSite.State) (run: IAsyncEnumerable<PutRecord> -> Task<PutPipelineResult>) =
    let ended = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

    site.Fault <-
        fun name key ->
            let number = numberOf key

            if number >= behind + window then ended.TrySetResult() |> ignore

            if number > behind then ended.Task else fault name key

    run (recordsThen (fun () -> ended.TrySetResult() |> ignore) [ for i in 1..1000 -> $"k{i}", "v" ])

let private pipeline =
    testList
        "Pipelined puts"
        [ testCaseTask "are as many at a time as the window says" (fun () ->
              task {
                  use! site = start ()
                  let full = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

                  // Nothing is answered before as many calls are here as the window lets through: a smaller window would never get an answer.
                  site.State.Fault <-
                      fun _ _ ->
                          if lock site.State (fun () -> site.State.UnderWay) = 4 then full.TrySetResult() |> ignore

                          full.Task

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = pipeline.RunAsync(records [ for i in 1..40 -> $"k{i}", "v" ], false, none)
                  Expect.equal (result.Written, result.Failed) (40L, 0L) "all written"
                  Expect.equal site.State.Concurrency 4 "never more"
              })

          testCaseTask "keep the order of the records of one key" (fun () ->
              task {
                  use! site = start ()
                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 8)
                  let! result = pipeline.RunAsync(records [ for i in 1..50 -> "k", string i ], false, none)
                  Expect.equal result.Written 50L "all written"
                  Expect.equal (site.State.Keys[Bytes.ofText "k"].Value.ToStringUtf8()) "50" "the last one"
                  Expect.equal site.State.Concurrency 1 "one after the other"
              })

          testCaseTask "stop at a record that is refused, with every record before it written" (fun () ->
              task {
                  use! site = start ()

                  let fault _ key = if numberOf key = 30 then refuseWith StatusCode.FailedPrecondition "no" else Task.CompletedTask

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = stopsAt 30 4 fault site.State (fun records -> pipeline.RunAsync(records, false, none))
                  Expect.equal [ for failure in result.Failures -> failure.Position ] [ 30L ] "the failure"

                  for i in 1..29 do
                      Expect.isTrue (site.State.Keys.ContainsKey(Bytes.ofText $"k{i}")) $"k{i} is written"

                  Expect.equal result.Written (int64 site.State.Keys.Count) "the count is exact"
                  Expect.isLessThan result.Written 33L "it stopped within the window"
              })

          testCaseTask "go on behind refused records when told so, but never behind an unknown outcome" (fun () ->
              task {
                  use! site = start ()

                  let fault _ key =
                      match numberOf key with
                      | 3
                      | 5 -> refuseWith StatusCode.FailedPrecondition "no"
                      | 300 -> refuseWith StatusCode.Unknown "lost"
                      | _ -> Task.CompletedTask

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = stopsAt 300 4 fault site.State (fun records -> pipeline.RunAsync(records, true, none))
                  Expect.equal [ for failure in result.Failures -> failure.Position ] [ 3L; 5L; 300L ] "the failures"
                  Expect.isLessThan result.Written 301L "it stopped at the third"
              })

          testCaseTask "that are cancelled wait for what is under way and count it" (fun () ->
              task {
                  use! site = start ()
                  use cancel = new CancellationTokenSource()
                  site.State.Fault <- interruptAt 10 cancel

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = pipeline.RunAsync(records [ for i in 1..1000 -> $"k{i}", "v" ], false, cancel.Token)
                  Expect.isTrue result.Cancelled "cancelled"
                  Expect.equal result.Failed 0L "nothing failed"
                  Expect.equal result.Written (int64 site.State.Keys.Count) "the count is exact"
                  Expect.isLessThan result.Written 15L "it stopped within the window"
              }) ]

let all = testList "client" [ pipeline ]
