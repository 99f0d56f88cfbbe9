/// Random records of runs.
module Regatta.Chaos.Tests.Records

open System
open FsCheck.FSharp
open Regatta.Chaos.Report

/// Words as a run writes them, and what a key or an error of somebody else may hold.
let private texts =
    Gen.elements
        [ "put"
          "range \"a\"..\"z\""
          "leader site, node 2"
          "link follower 1 -> leader 3"
          ""
          "</script><img onerror=alert(1)>"
          "<!--<script>"
          "' onmouseover='x"
          "&amp; \" ' ` \\ \u2028 \u0000 \t\r\n"
          "ключ 🚣"
          String.replicate 150 "🚣" ]

let private seconds = Gen.choose (0, 1_200_000) |> Gen.map (fun tenths -> float tenths / 10000.0)
let private until from = Gen.frequency [ 9, seconds |> Gen.map ((+) from); 1, Gen.constant infinity ]
let private few gen = Gen.choose (0, 6) |> Gen.bind (fun count -> Gen.listOfLength count gen)
let private numbers = Gen.choose (0, 100_000)
let private outcome = Gen.elements [ Answered; Refused; Unknown ]
let private verdict = Gen.elements [ Passed; Failed; Void ]

let private fault =
    gen {
        let! kind = texts
        let! target = texts
        let! from = seconds
        let! until = until from
        let! note = texts
        return { Kind = kind; Target = target; From = from; Until = until; Note = note }
    }

let private event =
    gen {
        let! node = texts
        let! at = seconds
        let! what = Gen.oneof [ texts; Gen.elements [ "started"; "ready"; "killed"; "ended by itself: 3" ] ]
        return { Node = node; At = at; What = what }
    }

let private second =
    gen {
        let! at = Gen.choose (0, 119)
        let! kind = texts
        let! answered = numbers
        let! refused = numbers
        let! unknown = numbers
        let! middle = seconds

        return
            { At = at
              Kind = kind
              Answered = answered
              Refused = refused
              Unknown = unknown
              P50 = middle
              P99 = middle * 2.0
              Max = middle * 3.0 }
    }

let private call =
    gen {
        let! client = texts
        let! node = texts
        let! kind = texts
        let! what = texts
        let! answer = texts
        let! outcome = outcome
        let! began = seconds
        let! ended = until began

        return
            { Client = client
              Node = node
              Kind = kind
              What = what
              Answer = answer
              Outcome = outcome
              Began = began
              Ended = ended }
    }

let private lag =
    gen {
        let! at = seconds
        let! node = texts
        let! revisions = numbers
        let! milliseconds = Gen.optionOf seconds
        return { At = at; Node = node; Revisions = int64 revisions; Milliseconds = milliseconds }
    }

let private check =
    gen {
        let! name = texts
        let! verdict = verdict
        let! looked = texts
        let! found = few texts
        return { Name = name; Verdict = verdict; Looked = looked; Found = found }
    }

let private failure =
    gen {
        let! check = texts
        let! why = texts
        let! core = few call
        return { Check = check; Why = why; Core = core }
    }

let private count =
    gen {
        let! kind = texts
        let! times = numbers
        let! what = texts
        return { Kind = kind; Times = times; What = what }
    }

let record =
    gen {
        let! verdict = verdict
        let! why = texts
        let! command = texts
        let! seed = numbers
        let! planted = Gen.optionOf texts
        let! sites = few (Gen.choose (1, 5))
        let! checks = few check
        let! faults = few fault
        let! counts = few count
        let! nodes = few event
        let! rates = few second
        let! calls = few call
        let! lags = few lag
        let! failures = few failure

        return
            { Verdict = verdict
              Why = why
              Command = command
              Seed = seed
              Commit = "b98182f"
              Machine = why
              Started = DateTimeOffset(2026, 11, 3, 7, 30, 0, TimeSpan.FromHours 1.0).AddSeconds(float seed)
              Length = 120.0
              Sites = sites
              Operations = 9_000_000_000L + int64 seed
              Planted = planted
              Checks = checks
              Faults = faults
              FaultCounts = counts
              Nodes = nodes
              Rates = rates
              Calls = calls
              Lags = lags
              Failures = failures }
    }

/// The same record with every text put through `change`.
let mapTexts change (record: RunRecord) =
    let call (call: Call) =
        { call with
            Client = change call.Client
            Node = change call.Node
            Kind = change call.Kind
            What = change call.What
            Answer = change call.Answer }

    { record with
        Why = change record.Why
        Command = change record.Command
        Machine = change record.Machine
        Planted = record.Planted |> Option.map change
        Checks =
            record.Checks
            |> List.map (fun check ->
                { check with
                    Name = change check.Name
                    Looked = change check.Looked
                    Found = check.Found |> List.map change })
        Faults =
            record.Faults
            |> List.map (fun fault ->
                { fault with
                    Kind = change fault.Kind
                    Target = change fault.Target
                    Note = change fault.Note })
        FaultCounts = record.FaultCounts |> List.map (fun count -> { count with Kind = change count.Kind; What = change count.What })
        Nodes = record.Nodes |> List.map (fun event -> { event with Node = change event.Node; What = change event.What })
        Rates = record.Rates |> List.map (fun second -> { second with Kind = change second.Kind })
        Calls = record.Calls |> List.map call
        Lags = record.Lags |> List.map (fun lag -> { lag with Node = change lag.Node })
        Failures =
            record.Failures
            |> List.map (fun failure ->
                { failure with
                    Check = change failure.Check
                    Why = change failure.Why
                    Core = failure.Core |> List.map call }) }

/// An hour of a busy run: twelve kinds every second, 600 faults, 20,000 sampled calls, seven nodes' lag every second.
let hour: RunRecord =
    let random = Random 7
    let kinds = [ for kind in 1..12 -> $"kind of operation {kind}" ]

    let call index =
        let began = float index * 0.18

        { Client = $"client {index % 48}"
          Node = $"leader site, node {index % 3 + 1}"
          Kind = kinds[index % 12]
          What = $"put table-{index % 4}/key-{random.Next 10000} = value-{index}"
          Answer = $"revision {index * 31}"
          Outcome = if index % 50 = 0 then Unknown else Answered
          Began = began
          Ended = began + random.NextDouble() / 20.0 }

    let second at kind =
        { At = at
          Kind = kind
          Answered = random.Next 2000
          Refused = random.Next 20
          Unknown = random.Next 5
          P50 = random.NextDouble() * 10.0
          P99 = random.NextDouble() * 100.0
          Max = random.NextDouble() * 1000.0 }

    { Verdict = Passed
      Why = "Every checker passed."
      Command = "dotnet run --project chaos -- --seed 7 --seconds 3600"
      Seed = 7
      Commit = "b98182f"
      Machine = "Linux, 16 cores"
      Started = DateTimeOffset(2026, 11, 3, 7, 30, 0, TimeSpan.Zero)
      Length = 3600.0
      Sites = [ 3; 3 ]
      Operations = 40_000_000L
      Planted = None
      Checks = []
      Faults =
        [ for index in 0..599 ->
              { Kind = $"fault {index % 48}"
                Target = $"link follower {index % 3} -> leader {index % 5}"
                From = float index * 6.0
                Until = float index * 6.0 + random.NextDouble() * 20.0
                Note = $"the site was without a leader for {index} ms" } ]
      FaultCounts = []
      Nodes = []
      Rates =
        [ for at in 0..3599 do
              for kind in kinds -> second at kind ]
      Calls = List.init 20_000 call
      Lags =
        [ for at in 0..3599 do
              for node in 1..7 ->
                  { At = float at
                    Node = $"node {node}"
                    Revisions = random.NextInt64 5000L
                    Milliseconds = Some(random.NextDouble() * 900.0) } ]
      Failures = [] }
