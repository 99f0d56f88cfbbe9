module Regatta.Raft.Tests.AfterwardsTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Testing

let private part (end': unit -> unit) =
    { new IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! Task.Yield()
                    end' ()
                }
                :> Task
            ) }

let private body (end': unit -> unit) () : Task<unit> =
    task {
        use _ = part end'
        ()
    }

let private finds () = failwith "found at the end"

let tests =
    testList
        "What is found while a part is disposed of"
        [ testCaseAsync
              "is dropped by `use` in a task; once it no longer is, Afterwards may go"
              (async { do! body finds () |> Async.AwaitTask })

          testCaseAsync
              "fails the test"
              (async {
                  let! outcome = Afterwards.run (body (fun () -> Afterwards.check finds)) |> Async.AwaitTask |> Async.Catch

                  match outcome with
                  | Choice2Of2 e -> Expect.stringContains (e.ToString()) "found at the end" "the failure"
                  | Choice1Of2() -> failtest "it was dropped"
              })

          testCaseAsync
              "comes behind the test's own failure"
              (async {
                  let failing () : Task<unit> =
                      task {
                          use _ = part (fun () -> Afterwards.check finds)
                          failwith "its own"
                      }

                  let! outcome = Afterwards.run failing |> Async.AwaitTask |> Async.Catch

                  match outcome with
                  | Choice2Of2 e -> Expect.stringContains (e.ToString()) "its own" "the failure"
                  | Choice1Of2() -> failtest "it was dropped"
              }) ]
