module Regatta.Toxiproxy.Tests.LossTests

open System
open System.Diagnostics
open System.Net.Sockets
open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

let private ends' stream (ends: Ends) = if stream = Upstream then ends.Client, ends.Server else ends.Server, ends.Client

let private endsWith expected (socket: Socket) what =
    task {
        let! bytes, ending = Wire.rest socket
        Expect.isEmpty bytes what
        Expect.equal ending expected what
    }

let private timeout =
    testList
        "timeout"
        [ Line.test "loses what passes its stream, and closes both sides after its time" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.Timeout 150L)
                  let clock = Stopwatch.StartNew()
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Server [| 1uy; 2uy |]
                  do! endsWith Wire.Closed ends.Client "the client"
                  Expect.isGreaterThanOrEqual clock.Elapsed (TimeSpan.FromMilliseconds 150.0) "it took as long"
                  do! endsWith Wire.Closed ends.Server "the server"
              })

          Line.test "closes a connection that was there before, too" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let! _ = line.AddAsync(Upstream, Toxic.Timeout 1L)
                  do! endsWith Wire.Closed ends.Server "the server"
                  do! endsWith Wire.Closed ends.Client "the client"
              })

          Line.test "of 0 loses what comes and lets the other stream be, and closes when it is removed" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let! name = line.AddAsync(Upstream, Toxic.Timeout 0L)
                  do! Wire.send ends.Client (Wire.bytes Seed.current 500_000)
                  do! Wire.send ends.Server [| 5uy |]
                  let! back = Wire.exactly ends.Client 1
                  Expect.equal back [| 5uy |] "downstream"
                  do! line.RemoveAsync name
                  do! endsWith Wire.Closed ends.Server "the server"
              })

          Line.test "of 0 lets the end of the stream through" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Timeout 0L)
                  use! ends = line.ConnectAsync()
                  ends.Client.Dispose()
                  do! endsWith Wire.Closed ends.Server "the server"
              })

          Line.test "of 0 is freed by a reset of the proxies" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.Timeout 0L)
                  use! ends = line.ConnectAsync()
                  // The proxy may still be between the server, which it has reached, and the toxics, which it looks at then.
                  do! Wire.send ends.Client [| 7uy |]
                  let! _ = Wire.exactly ends.Server 1
                  do! Subject.ok (line.Client.ResetAsync(Deadline.token ()))
                  do! endsWith Wire.Closed ends.Client "the client"
              }) ]

let private resetPeer =
    testList
        "reset_peer"
        [ for stream in [ Upstream; Downstream ] do
              Line.test $"resets both sides when something comes {stream}" (fun line ->
                  task {
                      let! _ = line.AddAsync(stream, Toxic.ResetPeer 0L)
                      use! ends = line.ConnectAsync()
                      let from, into = ends' stream ends
                      do! Wire.send from [| 1uy |]
                      do! endsWith Wire.Reset into "whom it was for"
                      do! endsWith Wire.Reset from "who sent it"
                  })

          Line.test "waits for its timeout" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.ResetPeer 150L)
                  use! ends = line.ConnectAsync()
                  let clock = Stopwatch.StartNew()
                  do! Wire.send ends.Server [| 1uy |]
                  do! endsWith Wire.Reset ends.Client "the client"
                  Expect.isGreaterThanOrEqual clock.Elapsed (TimeSpan.FromMilliseconds 150.0) "it took as long"
              })

          Line.test "lets the other stream be until then" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.ResetPeer 0L)
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy |]
                  let! bytes = Wire.exactly ends.Server 1
                  Expect.equal bytes [| 1uy |] "upstream"
              })

          Line.testOwn "resets a connection that was there before, too" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy |]
                  let! _ = Wire.exactly ends.Server 1
                  let! _ = line.AddAsync(Downstream, Toxic.ResetPeer 0L)
                  do! Wire.send ends.Server [| 1uy |]
                  do! endsWith Wire.Reset ends.Client "the client"
                  do! endsWith Wire.Reset ends.Server "the server"
              })

          Line.testOwn "that is removed before anything came does nothing" (fun line ->
              task {
                  let! name = line.AddAsync(Downstream, Toxic.ResetPeer 0L)
                  use! ends = line.ConnectAsync()
                  do! line.RemoveAsync name
                  do! Wire.send ends.Server [| 1uy |]
                  let! bytes = Wire.exactly ends.Client 1
                  Expect.equal bytes [| 1uy |] "bytes"
                  ends.Server.Dispose()
                  do! endsWith Wire.Closed ends.Client "the client"
              }) ]

let private limitData =
    testList
        "limit_data"
        [ for stream in [ Upstream; Downstream ] do
              for limit in [ 1; 100; 32_768; 32_769; 200_000 ] do
                  Line.test $"closes after exactly {limit} bytes {stream}" (fun line ->
                      task {
                          let! _ = line.AddAsync(stream, Toxic.LimitData(int64 limit))
                          use! ends = line.ConnectAsync()
                          let from, into = ends' stream ends
                          let bytes = Wire.bytes Seed.current limit
                          do! Wire.send from bytes
                          let! arrived, ending = Wire.rest into
                          Expect.isTrue (arrived = bytes) $"{arrived.Length} bytes arrived"
                          Expect.equal ending Wire.Closed "ending"
                      })

          Line.test "lets no byte more through" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.LimitData 1_000L)
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 1_500
                  do! Wire.send ends.Server bytes
                  let! arrived = Wire.exactly ends.Client 1_000
                  Expect.isTrue (arrived = bytes[..999]) "bytes"
                  do! endsWith Wire.Closed ends.Client "the client"
              })

          Line.test "counts over many sends" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.LimitData 25L)
                  use! ends = line.ConnectAsync()

                  for i in 0..1 do
                      do! Wire.send ends.Server (Array.create 10 (byte i))
                      let! arrived = Wire.exactly ends.Client 10
                      Expect.equal arrived (Array.create 10 (byte i)) $"send {i}"

                  do! Wire.send ends.Server (Array.create 10 2uy)
                  let! arrived = Wire.exactly ends.Client 5
                  Expect.equal arrived (Array.create 5 2uy) "the last ones"
                  do! endsWith Wire.Closed ends.Client "the client"
              })

          Line.test "of 0 closes at the first byte" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.LimitData 0L)
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Server [| 1uy |]
                  do! endsWith Wire.Closed ends.Client "the client"
              })

          Line.test "remembers across an update what has passed" (fun line ->
              task {
                  let! name = line.AddAsync(Downstream, Toxic.LimitData 100L)
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Server (Array.create 10 1uy)
                  let! _ = Wire.exactly ends.Client 10
                  do! line.UpdateAsync(name, Toxic.LimitData 15L, 1.0f)
                  do! Wire.send ends.Server (Array.create 10 2uy)
                  let! arrived = Wire.exactly ends.Client 5
                  Expect.equal arrived (Array.create 5 2uy) "the rest"
                  do! endsWith Wire.Closed ends.Client "the client"
              })

          Line.test "only looks at its stream" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.LimitData 1L)
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 10_000
                  do! Wire.send ends.Client bytes
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  Expect.isTrue (arrived = bytes) "upstream"
              }) ]

let tests = testList "losses" [ timeout; resetPeer; limitData ]
