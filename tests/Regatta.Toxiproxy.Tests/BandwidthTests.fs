module Regatta.Toxiproxy.Tests.BandwidthTests

open System
open System.Diagnostics
open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

let tests =
    testList
        "bandwidth"
        [ for rate, count in [ 1_000L, 200_000; 100L, 25_000; 1L, 150 ] do
              Line.test $"of {rate} KB/s takes its time for {count} bytes, and they are whole" (fun line ->
                  task {
                      let! _ = line.AddAsync(Upstream, Toxic.Bandwidth rate)
                      use! ends = line.ConnectAsync()
                      let bytes = Wire.bytes Seed.current count
                      let clock = Stopwatch.StartNew()
                      do! Wire.send ends.Client bytes
                      let! arrived = Wire.exactly ends.Server count
                      // A KB is 1,000 bytes. A timer's lateness is made up for, and what is a rounding of it is not looked at.
                      let least = TimeSpan.FromMilliseconds(0.9 * float count / float rate)
                      Expect.isGreaterThanOrEqual clock.Elapsed least "it took as long"
                      Expect.isTrue (arrived = bytes) "bytes"
                  })

          Line.test "of 0 lets nothing through, only in its stream, until it is removed" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let! name = line.AddAsync(Upstream, Toxic.Bandwidth 0L)
                  let bytes = Wire.bytes Seed.current 300_000
                  let sending = Wire.send ends.Client bytes
                  do! Wire.send ends.Server [| 1uy |]
                  let! _ = Wire.exactly ends.Client 1
                  Expect.equal ends.Server.Available 0 "nothing came"
                  do! line.RemoveAsync name
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  do! sending
                  Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.test "of 0 lets go when it is updated" (fun line ->
              task {
                  let! name = line.AddAsync(Downstream, Toxic.Bandwidth 0L)
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 300_000
                  let sending = Wire.send ends.Server bytes
                  do! line.UpdateAsync(name, Toxic.Bandwidth 100_000L, 1.0f)
                  let! arrived = Wire.exactly ends.Client bytes.Length
                  do! sending
                  Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.test "without limit is a great rate" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Bandwidth 1_000_000_000_000L)
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 100_000
                  do! Wire.send ends.Client bytes
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  Expect.isTrue (arrived = bytes) "bytes"
              }) ]
