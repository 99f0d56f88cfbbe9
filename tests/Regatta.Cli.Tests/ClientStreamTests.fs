module ClientStreamTests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Client
open Regatta.Protocol.V1
open FakeSite
open ClientCalls

let private everything = RangeRequest(Table = table, Key = ByteString.CopyFrom 0uy, RangeEnd = ByteString.CopyFrom 0uy)

let private collect (pages: IAsyncEnumerable<RangeResponse>) =
    task {
        let found = List<string>()
        let pages = pages.GetAsyncEnumerator()
        let mutable error = None
        let mutable go = true

        while go do
            try
                let! more = pages.MoveNextAsync()
                go <- more

                if more then
                    for pair in pages.Current.Kvs do
                        found.Add(pair.Key.ToStringUtf8())
            with :? RegattaException as e ->
                error <- Some e
                go <- false

        do! pages.DisposeAsync()
        return List.ofSeq found, error
    }

let private fill (site: Site) keys =
    for key: string in keys do
        site.State.Put(bytes key, bytes "v") |> ignore

let private streams =
    testList
        "A stream"
        [ testCaseTask "of pages comes whole" (fun () ->
              task {
                  use! site = start ()
                  fill site [ "a"; "b"; "c"; "d"; "e" ]
                  use client = connect patient [ site.Endpoint ]
                  let! found, error = collect (client.Kv.IterateAsync(everything, none))
                  Expect.equal (found, error) ([ "a"; "b"; "c"; "d"; "e" ], None) "all keys"
              })

          testCaseTask "moves on to another node before its first page, not after it" (fun () ->
              task {
                  use! broken = start ()
                  use! site = start ()
                  fill broken [ "a"; "b"; "c" ]
                  fill site [ "x" ]

                  broken.State.Fault <-
                      fun name _ -> if name = "IterateRange" then refuseWith StatusCode.Unavailable "no leader" else Task.CompletedTask

                  use client = connect patient [ broken.Endpoint; site.Endpoint ]
                  let! found, error = collect (client.Kv.IterateAsync(everything, none))
                  Expect.equal (found, error) ([ "x" ], None) "the other node's keys"

                  broken.State.Fault <-
                      fun name key ->
                          if name = "Page" && key = Bytes.ofText "c" then
                              refuseWith StatusCode.Unavailable "stopping"
                          else
                              Task.CompletedTask

                  use again = connect patient [ broken.Endpoint; site.Endpoint ]
                  let! found, error = collect (again.Kv.IterateAsync(everything, none))
                  Expect.equal found [ "a"; "b" ] "its first page, and nothing of another node behind it"
                  Expect.equal (error |> Option.map (fun e -> e.Kind)) (Some FailureKind.Unreachable) "then an error"
              })

          testCaseTask "that falls silent ends when the next page does not come in time" (fun () ->
              task {
                  use! site = start ()
                  fill site [ "a"; "b"; "c" ]
                  let never = TaskCompletionSource()
                  site.State.Fault <- fun name key -> if name = "Page" && key = Bytes.ofText "c" then never.Task else Task.CompletedTask
                  // The first page, with the connection for it, must come in that time, too.
                  use client = connect (TimeSpan.FromSeconds 5.0) [ site.Endpoint ]
                  let! found, error = collect (client.Kv.IterateAsync(everything, none))
                  never.SetResult()
                  Expect.equal found [ "a"; "b" ] "what came"
                  Expect.equal (error |> Option.map (fun e -> e.Kind)) (Some FailureKind.TimedOut) "kind"
              }) ]

let all = testList "client" [ streams ]
