module Regatta.Toxiproxy.Tests.SlicerTests

open System
open System.Diagnostics
open Expecto
open FsCheck.FSharp
open Regatta.Testing
open Regatta.Toxiproxy
open Regatta.Toxiproxy.Server

let private cuts =
    gen {
        let! seed = Gen.choose (0, 1_000_000)
        let! average = Gen.elements [ -1L; 0L; 1L; 2L; 10L; 100L; 5_000L; Int64.MaxValue ]
        let! variation = Gen.elements [ -1L; 0L; 1L; 5L; 1_000L; Int64.MaxValue ]
        let! length = Gen.frequency [ 1, Gen.constant 0; 9, Gen.choose (1, 40_000) ]
        return seed, average, variation, length
    }

let tests =
    testList
        "slicer"
        [ Property.test
              "pieces are whole, none is empty, and none is too long"
              (Scale.pick 500 20_000)
              cuts
              (fun _ -> Seq.empty)
              (fun (seed, average, variation, length) ->
                  let pieces = Slicing.lengths (Random seed) average variation length
                  Expect.equal (List.sum pieces) length "together"
                  Expect.all pieces (fun piece -> piece > 0 || length = 0) "not empty"
                  let longest = float (max 1L average) + float (max 0L variation)
                  Expect.all pieces (fun piece -> float piece <= longest) "not too long")

          testCase "pieces of a fixed size are halves of halves" (fun () ->
              Expect.equal (Slicing.lengths (Random 1) 25L 0L 100) [ 25; 25; 25; 25 ] "pieces")

          Line.test "bytes arrive whole and in order" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Slicer(500L, 100L, 0L))
                  let! _ = line.AddAsync(Downstream, Toxic.Slicer(64L, 32L, 1L))
                  use! ends = line.ConnectAsync()

                  for from, into in [ ends.Client, ends.Server; ends.Server, ends.Client ] do
                      let bytes = Wire.bytes Seed.current 50_000
                      do! Wire.send from bytes
                      let! arrived = Wire.exactly into bytes.Length
                      Expect.isTrue (arrived = bytes) "bytes"
              })

          Line.test "each piece is followed by the delay" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Slicer(10L, 0L, 20_000L))
                  use! ends = line.ConnectAsync()
                  let clock = Stopwatch.StartNew()
                  do! Wire.send ends.Client (Array.zeroCreate 80)
                  let! _ = Wire.exactly ends.Server 80
                  // Eight pieces have seven delays between them.
                  Expect.isGreaterThanOrEqual clock.Elapsed (TimeSpan.FromMilliseconds 140.0) "it took as long"
              })

          Line.test "removal lets the rest go" (fun line ->
              task {
                  let! name = line.AddAsync(Upstream, Toxic.Slicer(1L, 0L, 3_600_000_000L))
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 100_000
                  let sending = Wire.send ends.Client bytes
                  let! first = Wire.exactly ends.Server 1
                  do! line.RemoveAsync name
                  let! rest = Wire.exactly ends.Server (bytes.Length - 1)
                  do! sending
                  Expect.isTrue (Array.append first rest = bytes) "bytes"
              })

          Line.testOwn "one without attributes cuts to single bytes" (fun line ->
              task {
                  let! _ = line.AddAsync(Upstream, Toxic.Slicer(0L, 0L, 0L))
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 500
                  do! Wire.send ends.Client bytes
                  let! arrived = Wire.exactly ends.Server bytes.Length
                  Expect.isTrue (arrived = bytes) "bytes"
              }) ]
