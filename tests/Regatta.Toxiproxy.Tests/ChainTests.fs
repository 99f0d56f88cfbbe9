module Regatta.Toxiproxy.Tests.ChainTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

/// A toxic that loses nothing and does not take long.
let private harmless (random: Random) =
    match random.Next 8 with
    | 0 -> Toxic.Latency(random.NextInt64 4L, random.NextInt64 4L)
    | 1 -> Toxic.Bandwidth(5_000L + random.NextInt64 100_000L)
    | 2 -> Toxic.SlowClose(random.NextInt64 4L)
    | 3 -> Toxic.Slicer(1_000L + random.NextInt64 9_000L, random.NextInt64 900L, random.NextInt64 100L)
    | 4 -> Toxic.LimitData Int64.MaxValue
    | 5 -> Toxic.Bandwidth 0L
    | _ -> Toxic.Noop

/// A line that stalls may only be there if it is sure not to act, or is removed again.
let private toxicityOf (random: Random) toxic =
    match toxic with
    | Toxic.Bandwidth 0L -> 0.0f
    | _ -> [| 0.0f; 0.5f; 1.0f |][random.Next 3]

let private draw (random: Random) name =
    let toxic = harmless random

    { Name = Some $"t{name}"
      Toxic = toxic
      Stream = (if random.Next 2 = 0 then Upstream else Downstream)
      Toxicity = toxicityOf random toxic }

/// Adds, updates and removes toxics while bytes flow.
let private disturb (line: Line) (random: Random) (there: ResizeArray<NewToxic>) steps =
    task {
        for step in 1..steps do
            match random.Next 3 with
            | 0 ->
                let toxic = draw random $"{100 + step}"
                let! _ = line.AddAsync toxic
                there.Add toxic
            | 1 when there.Count > 0 ->
                let index = random.Next there.Count
                do! line.RemoveAsync(Option.get there[index].Name)
                there.RemoveAt index
            | 2 when there.Count > 0 ->
                let toxic = there[random.Next there.Count]
                do! line.UpdateAsync(Option.get toxic.Name, toxic.Toxic, toxicityOf random toxic.Toxic)
            | _ -> ()
    }

let private parts (random: Random) (bytes: byte array) (socket: Net.Sockets.Socket) =
    task {
        let mutable rest = bytes

        while rest.Length > 0 do
            let length = min rest.Length (1 + random.Next 40_000)
            do! Wire.send socket rest[.. length - 1]
            rest <- rest[length..]
    }

let private carry (line: Line) (seed: int) =
    task {
        let random = Random seed
        let there = ResizeArray [ for i in 0 .. random.Next 5 -> draw random $"{i}" ]

        for toxic in there do
            let! _ = line.AddAsync toxic
            ()

        use! ends = line.ConnectAsync()
        let up = Wire.bytes seed (random.Next 250_000)
        let down = Wire.bytes (seed + 1) (random.Next 250_000)
        let receiving = Task.WhenAll [| Wire.exactly ends.Server up.Length; Wire.exactly ends.Client down.Length |]
        let sending = Task.WhenAll [| parts (Random(seed + 2)) up ends.Client; parts (Random(seed + 3)) down ends.Server |]
        do! disturb line random there (random.Next 12)
        let! _ = sending
        let! arrived = receiving
        if arrived[0] <> up || arrived[1] <> down then failtest "the bytes are not the same"
        ends.Client.Dispose()
        let! left, ending = Wire.rest ends.Server
        Expect.isEmpty left "no more bytes"
        Expect.equal ending Wire.Closed "ending"

        for toxic in there do
            do! line.RemoveAsync(Option.get toxic.Name)
    }

let tests =
    Line.test "any chain of toxics that lose nothing, changed while bytes flow, carries them whole and in order" (fun line ->
        task {
            for case in 0 .. Scale.pick 40 1_000 do
                let seed = Seed.current + case * 10

                try
                    do! carry line seed
                with e ->
                    failtest $"with seed {seed}: {e}"
        })
