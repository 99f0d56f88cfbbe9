module Regatta.Toxiproxy.Tests.ChangeTests

open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

let private ages = 3_600_000L

/// A toxic that is added, changed or removed acts at once on connections that are open.
let tests =
    testList
        "changes on open connections"
        [ Line.test "an added toxic acts on the next byte" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy |]
                  let! _ = Wire.exactly ends.Server 1
                  let! _ = line.AddAsync(Upstream, Toxic.LimitData 3L)
                  do! Wire.send ends.Client [| 2uy; 3uy; 4uy |]
                  let! bytes, ending = Wire.rest ends.Server
                  Expect.equal bytes [| 2uy; 3uy; 4uy |] "bytes since"
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.test "removal of a delay lets go what it holds, in order" (fun line ->
              task {
                  let! name = line.AddAsync(Upstream, Toxic.Latency(ages, 0L))
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 600_000

                  for part in Array.chunkBySize 7_919 bytes do
                      do! Wire.send ends.Client part

                  do! line.RemoveAsync name
                  do! Wire.send ends.Client [| 9uy |]
                  let! arrived = Wire.exactly ends.Server (bytes.Length + 1)
                  Expect.isTrue (arrived = Array.append bytes [| 9uy |]) "bytes"
              })

          Line.test "a shorter delay lets go what the longer one held" (fun line ->
              task {
                  let! name = line.AddAsync(Upstream, Toxic.Latency(ages, 0L))
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy |]
                  do! line.UpdateAsync(name, Toxic.Latency(1L, 0L), 1.0f)
                  do! Wire.send ends.Client [| 2uy |]
                  let! arrived = Wire.exactly ends.Server 2
                  Expect.equal arrived [| 1uy; 2uy |] "bytes"
              })

          Line.test "removal of the first, the middle and the last of a chain loses nothing" (fun line ->
              task {
                  for name in [ "a"; "b"; "c" ] do
                      let! _ = line.AddAsync { NewToxic.on Upstream (Toxic.Latency(ages, 0L)) with Name = Some name }
                      ()

                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 90_000
                  do! Wire.send ends.Client bytes[..29_999]
                  do! line.RemoveAsync "b"
                  do! Wire.send ends.Client bytes[30_000..59_999]
                  do! line.RemoveAsync "a"
                  do! Wire.send ends.Client bytes[60_000..]
                  do! line.RemoveAsync "c"
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.testOwn "a stalled toxic does not keep those before it from being changed" (fun line ->
              task {
                  let! before = line.AddAsync(Upstream, Toxic.Latency(0L, 0L))
                  let! _ = line.AddAsync(Upstream, Toxic.Noop)
                  let! stalled = line.AddAsync(Upstream, Toxic.Bandwidth 0L)
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 400_000
                  let sending = Wire.send ends.Client bytes
                  do! line.UpdateAsync(before, Toxic.Latency(1L, 0L), 1.0f)
                  do! line.RemoveAsync "noop_upstream"
                  do! line.RemoveAsync stalled
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  do! sending
                  Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.test "disabling ends connections that a toxic holds" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Latency(ages, 0L))
                  let! _ = line.AddAsync(Downstream, Toxic.Bandwidth 0L)
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy |]
                  do! Wire.send ends.Server [| 1uy |]
                  do! line.ChangeAsync ProxyChange.disable
                  let! bytes, _ = Wire.rest ends.Client
                  Expect.isEmpty bytes "the client"
                  let! bytes, _ = Wire.rest ends.Server
                  Expect.isEmpty bytes "the server"
              })

          Line.test "a toxic added a hundred times and removed as often lets the bytes through meanwhile" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 4_000_000
                  let sending = Wire.send ends.Client bytes
                  let receiving = Wire.exactly ends.Server bytes.Length

                  for i in 1..100 do
                      let! name = line.AddAsync(Upstream, (if i % 2 = 0 then Toxic.Noop else Toxic.Latency(1L, 0L)))
                      do! line.RemoveAsync name

                  do! sending
                  let! arrived = receiving
                  Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.test "all connections of a proxy follow" (fun line ->
              task {
                  let! name = line.AddAsync(Downstream, Toxic.Bandwidth 0L)
                  let all = ResizeArray<Ends>()

                  for _ in 1..8 do
                      let! ends = line.ConnectAsync()
                      all.Add ends

                  for ends in all do
                      do! Wire.send ends.Server [| 1uy |]

                  do! line.RemoveAsync name

                  for ends in all do
                      let! bytes = Wire.exactly ends.Client 1
                      Expect.equal bytes [| 1uy |] "byte"
                      (ends :> System.IDisposable).Dispose()
              }) ]
