module Regatta.Toxiproxy.Tests.ToxicityTests

open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

/// On how many of so many connections, one after the other, a toxic of this toxicity acts, and on which.
let private acted (line: Line) toxicity count =
    task {
        let toxic = { NewToxic.on Downstream (Toxic.LimitData 1L) with Toxicity = toxicity; Name = Some "t" }
        let! name = line.AddAsync toxic
        let seen = ResizeArray<bool>()

        for _ in 1..count do
            use! ends = line.ConnectAsync()
            do! Wire.send ends.Server [| 1uy; 2uy |]
            ends.Server.Dispose()
            let! bytes, _ = Wire.rest ends.Client
            seen.Add(bytes.Length = 1)

        do! line.RemoveAsync name
        return List.ofSeq seen
    }

let private acting = List.filter id >> List.length

/// On which connections it acts with this seed.
let private drawn seed =
    task {
        let seen = ResizeArray<bool>()

        do!
            Subject.using seed (fun subject ->
                Line.on subject (fun line ->
                    task {
                        let! found = acted line 0.5f 60
                        seen.AddRange found
                    }))

        return List.ofSeq seen
    }

let tests =
    testList
        "toxicity"
        [ Line.test "0 is never" (fun line ->
              task {
                  let! seen = acted line 0.0f 20
                  Expect.equal (acting seen) 0 "acted"
              })

          Line.test "1 is always" (fun line ->
              task {
                  let! seen = acted line 1.0f 20
                  Expect.equal (acting seen) 20 "acted"
              })

          Line.testOwn "0.5 is about half of the connections" (fun line ->
              task {
                  let! seen = acted line 0.5f 200
                  Expect.isTrue (acting seen > 70 && acting seen < 130) $"acted on {acting seen} of 200, seed {Seed.current}"
              })

          Line.test "is drawn again with an update" (fun line ->
              task {
                  let! name = line.AddAsync { NewToxic.on Upstream (Toxic.Bandwidth 0L) with Toxicity = 0.0f }
                  use! ends = line.ConnectAsync()
                  do! Wire.send ends.Client [| 1uy |]
                  let! _ = Wire.exactly ends.Server 1
                  do! line.UpdateAsync(name, Toxic.Bandwidth 0L, 1.0f)
                  do! Wire.send ends.Client [| 2uy |]
                  do! Wire.send ends.Server [| 3uy |]
                  let! _ = Wire.exactly ends.Client 1
                  Expect.equal ends.Server.Available 0 "it stalls now"
                  do! line.UpdateAsync(name, Toxic.Bandwidth 0L, 0.0f)
                  let! bytes = Wire.exactly ends.Server 1
                  Expect.equal bytes [| 2uy |] "and no more"
              })

          testCaseTask "the same seed draws the same, another one another" (fun () ->
              task {
                  let! one = drawn 1
                  let! two = drawn 1
                  let! other = drawn 2
                  Expect.equal two one "the same"
                  Expect.notEqual other one "another"
              }) ]
