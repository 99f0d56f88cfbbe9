module Regatta.Toxiproxy.Tests.DelayTests

open System
open System.Diagnostics
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

/// An hour: nothing comes through in a test.
let private ages = 3_600_000L

let private atLeast (clock: Stopwatch) (milliseconds: int) =
    Expect.isGreaterThanOrEqual clock.Elapsed (TimeSpan.FromMilliseconds(float milliseconds)) "it took as long"

let private latency =
    testList
        "latency"
        [ Line.test "delays what passes its stream, and nothing else" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let! _ = line.AddAsync(Downstream, Toxic.Latency(ages, 0L))
                  do! Wire.send ends.Server [| 1uy |]
                  do! Wire.send ends.Client [| 2uy; 3uy |]
                  let! bytes = Wire.exactly ends.Server 2
                  Expect.equal bytes [| 2uy; 3uy |] "upstream"
              })

          for stream in [ Upstream; Downstream ] do
              Line.test $"takes its time {stream}" (fun line ->
                  task {
                      let! _ = line.AddAsync(stream, Toxic.Latency(150L, 0L))
                      use! ends = line.ConnectAsync()
                      let from, into = if stream = Upstream then ends.Client, ends.Server else ends.Server, ends.Client
                      let clock = Stopwatch.StartNew()
                      do! Wire.send from [| 1uy |]
                      let! _ = Wire.exactly into 1
                      atLeast clock 150
                  })

          Line.test "keeps the bytes whole and in order, whatever the jitter" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Latency(5L, 5L))
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 400_000
                  let receiving = Wire.exactly ends.Server bytes.Length

                  for part in Array.chunkBySize 9_973 bytes do
                      do! Wire.send ends.Client part

                  let! arrived = receiving
                  Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.test "with jitter is at least their difference" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Latency(60L, 20L))
                  use! ends = line.ConnectAsync()

                  for _ in 1..10 do
                      let clock = Stopwatch.StartNew()
                      do! Wire.send ends.Client [| 1uy |]
                      let! _ = Wire.exactly ends.Server 1
                      atLeast clock 40
              })

          Line.test "goes by a chunk's arrival: many chunks at once are late once" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Slicer(1L, 0L, 0L))
                  let! _ = line.AddAsync(Upstream, Toxic.Latency(500L, 0L))
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 500
                  do! Wire.send ends.Client bytes
                  // One after the other they would take longer than any test waits.
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  Expect.equal arrived bytes "bytes"
              })

          Line.test "delays the end of the stream no more than the bytes before it" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Latency(100L, 0L))
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy; 2uy |]
                  ends.Client.Dispose()
                  let! bytes, ending = Wire.rest ends.Server
                  Expect.equal bytes [| 1uy; 2uy |] "bytes"
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.testOwn "of two toxics adds up" (fun line ->
              task {
                  for name in [ "a"; "b" ] do
                      let! _ = line.AddAsync { NewToxic.on Upstream (Toxic.Latency(80L, 0L)) with Name = Some name }
                      ()

                  use! ends = line.ConnectAsync()
                  let clock = Stopwatch.StartNew()
                  do! Wire.send ends.Client [| 1uy |]
                  let! _ = Wire.exactly ends.Server 1
                  atLeast clock 160
              }) ]

let private slowClose =
    testList
        "slow_close"
        [ Line.test "lets the bytes through, and delays the end" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.SlowClose 150L)
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Server [| 1uy |]
                  let! _ = Wire.exactly ends.Client 1
                  let clock = Stopwatch.StartNew()
                  ends.Server.Dispose()
                  let! bytes, ending = Wire.rest ends.Client
                  atLeast clock 150
                  Expect.isEmpty bytes "bytes"
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.test "does not delay the other stream's end" (fun line ->
              task {
                  let! _ = line.AddAsync(Downstream, Toxic.SlowClose ages)
                  use! ends = line.ConnectAsync()
                  ends.Client.Dispose()
                  let! _, ending = Wire.rest ends.Server
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.test "that is removed ends the stream at once" (fun line ->
              task {
                  let! name = line.AddAsync(Downstream, Toxic.SlowClose ages)
                  use! ends = line.ConnectAsync()
                  ends.Server.Dispose()
                  do! line.RemoveAsync name
                  let! _, ending = Wire.rest ends.Client
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.test "that is updated waits anew" (fun line ->
              task {
                  let! name = line.AddAsync(Downstream, Toxic.SlowClose ages)
                  use! ends = line.ConnectAsync()
                  ends.Server.Dispose()
                  do! line.UpdateAsync(name, Toxic.SlowClose 1L, 1.0f)
                  let! _, ending = Wire.rest ends.Client
                  Expect.equal ending Wire.Closed "ending"
              }) ]

let private noop =
    Line.test "noop does nothing" (fun line ->
        task {
            let! _ = line.AddAsync(Upstream, Toxic.Noop)
            let! _ = line.AddAsync(Downstream, Toxic.Noop)
            use! ends = line.ConnectAsync()
            let bytes = Wire.bytes Seed.current 300_000
            let sending = Task.WhenAll [| Wire.send ends.Client bytes; Wire.send ends.Server bytes |]
            let receiving = Task.WhenAll [| Wire.exactly ends.Server bytes.Length; Wire.exactly ends.Client bytes.Length |]
            let! _ = sending
            let! arrived = receiving
            Expect.all arrived (fun one -> one = bytes) "bytes"
        })

let tests = testList "delays" [ latency; slowClose; noop ]
