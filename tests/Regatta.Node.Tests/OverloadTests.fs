module Regatta.Node.Tests.OverloadTests

open System.Net.Http
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1

let tests =
    testList
        "overload"
        [ Nodes.test "more writes than the node holds are refused at once, and the others are done" (fun () ->
              Nodes.using [ "tables.names", "t"; "raft.max-waiting", "4" ] (fun node ->
                  task {
                      let! all = Task.WhenAll [ for i in 1..500 -> Status.ofCall (node.Put("t", $"k{i}", "v")) ]
                      let codes = all |> Array.countBy _.StatusCode |> Map.ofArray
                      let refused = codes |> Map.tryFind StatusCode.ResourceExhausted |> Option.defaultValue 0
                      let taken = codes |> Map.tryFind StatusCode.OK |> Option.defaultValue 0
                      Expect.isGreaterThan refused 0 "some were refused"
                      Expect.isGreaterThan taken 0 "some were taken"
                      Expect.equal (refused + taken) 500 $"nothing else: %A{codes}"
                      let! status = node.Clients.Cluster.StatusAsync(StatusRequest())
                      Expect.equal status.Tables["t"].Revision (uint64 taken) "a refused write did nothing"
                  }))

          Nodes.test "a client that takes nothing for too long loses its view, and does not take that for the end" (fun () ->
              Nodes.using [ "tables.names", "t"; "api.stall-timeout", "300ms" ] (fun node ->
                  task {
                      let value = Bytes.ofLength 1_000_000

                      for i in 0..29 do
                          let! _ =
                              node.Clients.Kv.PutAsync(PutRequest(Table = Bytes.text "t", Key = Bytes.text $"k{i:D2}", Value = value))

                          ()

                      use call =
                          node.Clients.Kv.IterateRange(RangeRequest(Table = Bytes.text "t", Key = Bytes.zero, RangeEnd = Bytes.zero))

                      let! _ = call.ResponseHeadersAsync
                      // Nothing is taken until the node has given up.
                      do! node.Node.Iterations.IdleAsync CancellationToken.None

                      let! status =
                          Status.ofCall (
                              task {
                                  while! call.ResponseStream.MoveNext CancellationToken.None do
                                      ()
                              }
                          )

                      Expect.equal status.StatusCode StatusCode.Cancelled "cut off, and not taken for the end of the range"
                  }))

          Nodes.test "replies that nobody reads are bounded, and their place is free when their clients go" (fun () ->
              Nodes.using [ "tables.names", "t"; "limits.max-reply-bytes-in-flight", "4MiB" ] (fun node ->
                  task {
                      let value = Bytes.ofLength 1_000_000

                      for i in 0..2 do
                          let! _ = node.Clients.Kv.PutAsync(PutRequest(Table = Bytes.text "t", Key = Bytes.text $"k{i}", Value = value))
                          ()

                      let request = RangeRequest(Table = Bytes.text "t", Key = Bytes.zero, RangeEnd = Bytes.zero)
                      let read () = Status.ofCall (node.Clients.Kv.RangeAsync(request).ResponseAsync)

                      // A client that takes the headers and 64 KiB, and then nothing more.
                      let handler = new SocketsHttpHandler(UseProxy = false, InitialHttp2StreamWindowSize = 65535)
                      let idle = new HttpClient(handler)

                      let message = WireCall.request node.Node.ApiAddress "Range" [] (WireCall.frame false (request.ToByteArray()))
                      let! reply = idle.SendAsync(message, HttpCompletionOption.ResponseHeadersRead)
                      let! refused = read ()
                      Expect.equal refused.StatusCode StatusCode.ResourceExhausted "two do not fit"
                      Expect.stringContains refused.Detail "wait for their clients to read them" "and why"
                      let! small = node.Get("t", "k0")
                      Expect.isSome small "a key is read all the same"
                      reply.Dispose()
                      idle.Dispose()
                      let mutable status = refused

                      while status.StatusCode = StatusCode.ResourceExhausted do
                          let! next = read ()
                          status <- next

                      Expect.equal status.StatusCode StatusCode.OK "there is room again"
                  }))

          Nodes.test "below the low-water mark of the disk writes are refused, reads go on, and the node says so" (fun () ->
              task {
                  use scratch = new Scratch()

                  do!
                      task {
                          use! node = Nodes.start scratch.Path [ "tables.names", "t" ]
                          let! _ = node.Put("t", "k", "v")
                          ()
                      }

                  // More than any disk has.
                  use! node = Nodes.start scratch.Path [ "disk.low-water-bytes", "1024TiB" ]
                  let! status = Status.ofCall (node.Put("t", "k", "w"))
                  Expect.equal status.StatusCode StatusCode.ResourceExhausted "refused"
                  Expect.stringContains status.Detail "nothing happened" "and why"
                  let! value = node.Get("t", "k")
                  Expect.equal value (Some "v") "reads go on"
                  let! code, reasons = node.Rest "/readyz"
                  Expect.equal code 503 "not ready"
                  Expect.stringContains reasons "disk.low-water-bytes" "which option"
                  let! health = node.Clients.Health.CheckAsync(Grpc.Health.V1.HealthCheckRequest(Service = "t"))
                  Expect.equal health.Status Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus.NotServing "the table takes no writes"
              }) ]
