/// What must be so of every table, whatever was done to the nodes.
module Regatta.Chaos.Checks

open System
open Regatta.Spec

/// As the checkers want them: only calls of sessions belong together.
let private sessionCalls (evidence: Evidence) =
    evidence.Calls
    |> List.mapi (fun at call ->
        let observation = if call.IsOfSession then call.Observation else { call.Observation with Client = -1 - at }

        { Call = observation; Life = evidence.First.Incarnation; Staleness = call.Staleness })

/// The call that an observation was made of.
let private original (evidence: Evidence) (calls: SessionCall list) =
    let places = System.Collections.Generic.Dictionary<Observation, Recorded>(HashIdentity.Reference)
    List.iter2 (fun session recorded -> places[session.Call] <- recorded) calls evidence.Calls

    fun observation ->
        match places.TryGetValue observation with
        | true, call -> [ call ]
        | _ -> []

let private keysOf (call: Recorded) =
    let ofOp op =
        match op with
        | Op.Put put -> KeyRange.single put.Key
        | Op.Delete delete -> delete.Range
        | Op.Range range -> range.Range

    match call.Observation.Request with
    | Request.Write(Command.Put put) -> [ KeyRange.single put.Key ]
    | Request.Write(Command.Delete delete) -> [ delete.Range ]
    | Request.Write(Command.Txn txn)
    | Request.Read(Query.Txn txn)
    | Request.LocalRead(Query.Txn txn) -> (txn.Compares |> List.map _.Range) @ List.map ofOp (txn.Success @ txn.Failure)
    | Request.Read(Query.Range(op, _))
    | Request.LocalRead(Query.Range(op, _)) -> [ op.Range ]
    | Request.Write Command.Dummy -> []

let private meet (one: KeyRange) (other: KeyRange) = KeyRange.contains one other.Key || KeyRange.contains other one.Key

/// Writes next to the calls in question that concern the same keys.
let private around (evidence: Evidence) (core: Recorded list) =
    let revisionOf call = Observation.reply call.Observation |> Option.map _.Revision
    let ranges = core |> List.collect keysOf
    let revisions = core |> List.choose revisionOf

    let near call =
        match revisionOf call with
        | Some revision when (Observation.write call.Observation).IsSome ->
            revisions |> List.exists (fun other -> abs (revision - other) <= 40L)
        | _ -> false

    let neighbours =
        evidence.Calls
        |> List.filter (fun call -> near call && keysOf call |> List.exists (fun range -> List.exists (meet range) ranges))
        |> List.filter (fun call -> not (List.exists (fun other -> obj.ReferenceEquals(other, call)) core))
        |> List.sortBy (fun call -> revisions |> List.map (fun other -> abs (other - (revisionOf call).Value)) |> List.min)

    core @ List.truncate (max 0 (12 - core.Length)) neighbours |> List.sortBy _.Observation.Began

let private sentence (broken: Broken) =
    match broken with
    | NotAPrefix(Lost _) -> "an acknowledged write is not in the table's history"
    | NotAPrefix(TwoAtOneRevision _) -> "two writes were acknowledged with one revision"
    | NotAPrefix(OtherEffects call) ->
        let revision = Observation.reply call |> Option.map _.Revision |> Option.defaultValue 0L
        $"a write was acknowledged with revision {revision}, at which the table did something else"
    | NotAPrefix(Uninvited revision) -> $"revision {revision} did what nobody had asked for, or once more than somebody did"
    | NotAPrefix(WrongAnswer(_, expected)) -> $"an answer is not that of its revision, which would be: {Show.reply expected}"
    // What each revision did is worked out from its command here, and a run has one life of each table: these two are for others.
    | NotAPrefix(Misrecorded revision) -> $"the changelog says of revision {revision} what its command cannot have done"
    | NotAPrefix(NoSuchState _) -> "a read shows a revision that the table never had"
    | NotAPrefix(OutOfOrder _) -> "a call began when another one had ended, and shows an older state or has the lower revision"
    | WentBack _ -> "a session was shown less than it had seen before"
    | OwnWriteMissing _ -> "a session was not shown what it had written"
    | BoundTooLow _ -> "an answer lacks a write that had been acknowledged for longer than it said"
    | OtherLife _ -> "a session was shown another life of its table"

let private involved (broken: Broken) =
    match broken with
    | NotAPrefix(Lost call)
    | NotAPrefix(OtherEffects call)
    | NotAPrefix(WrongAnswer(call, _))
    | NotAPrefix(NoSuchState call) -> [ call ]
    | NotAPrefix(TwoAtOneRevision(one, other))
    | NotAPrefix(OutOfOrder(one, other)) -> [ one; other ]
    | NotAPrefix(Uninvited _)
    | NotAPrefix(Misrecorded _) -> []
    | WentBack(earlier, later)
    | OtherLife(earlier, later) -> [ earlier.Call; later.Call ]
    | OwnWriteMissing(write, read) -> [ write.Call; read.Call ]
    | BoundTooLow(read, missing) -> [ read.Call; missing ]

let private nameOf (broken: Broken) =
    match broken with
    | NotAPrefix _ -> "strict serializability"
    | BoundTooLow _ -> "staleness"
    | WentBack _
    | OwnWriteMissing _
    | OtherLife _ -> "sessions"

/// Strict serializability, sessions and bounds on staleness, by the revisions.
let witness (evidence: Evidence) =
    let calls = sessionCalls evidence
    let find = original evidence calls

    [ for broken in Sessions.check evidence.First evidence.Records calls do
          { Check = nameOf broken
            Why = sentence broken
            Core = around evidence (List.collect find (involved broken)) } ]

/// What was asked for with a read, and not kept.
let wishes (evidence: Evidence) =
    [ for call in evidence.Calls do
          match Observation.reply call.Observation with
          | None -> ()
          | Some reply ->
              if reply.Revision < call.LeastRevision then
                  { Check = "sessions"
                    Why =
                      $"an answer shows revision {reply.Revision}, and revision {call.LeastRevision} was behind a token that went with the call"
                    Core = around evidence [ call ] }

              match call.MostStaleness, call.Staleness with
              | None, _ -> ()
              | Some _, None ->
                  { Check = "staleness"
                    Why = "an answer for which a bound was asked does not say how stale it is"
                    Core = around evidence [ call ] }
              // What has all that was committed when the call came is recent enough for any bound.
              | Some most, Some said when said > max most (call.Observation.Ended - call.Observation.Began + 1000L) ->
                  { Check = "staleness"
                    Why = $"an answer may be {said / 1000L} ms stale, and {most / 1000L} ms were asked for"
                    Core = around evidence [ call ] }
              | Some _, Some _ -> () ]

/// Each key by itself is a register, whatever revisions say. Of writes without an answer those count whose values the table has had.
let linearizability (evidence: Evidence) =
    let had =
        System.Collections.Generic.HashSet(
            [ for _, effects in evidence.Records do
                  for effect in effects do
                      match effect with
                      | Effect.Put(_, entry) -> entry.Value
                      | Effect.Delete _ -> () ]
        )

    let rec valuesOf command =
        match command with
        | Command.Put put -> [ put.Value ]
        | Command.Txn txn ->
            txn.Success @ txn.Failure
            |> List.choose (function
                | Op.Put put -> Some put.Value
                | Op.Delete _
                | Op.Range _ -> None)
        | Command.Delete _
        | Command.Dummy -> []

    let counts (observation: Observation) =
        match observation.Outcome, observation.Request with
        | Outcome.Unknown, Request.Write command ->
            match valuesOf command with
            | [] -> true
            | values -> values |> List.exists had.Contains
        | _ -> true

    let calls = evidence.Calls |> List.map _.Observation |> List.filter counts

    [ for key in Linearizability.check evidence.First calls do
          let ofKey =
              evidence.Calls
              |> List.filter (fun call -> counts call.Observation && keysOf call |> List.exists (fun range -> KeyRange.contains range key))
              |> Array.ofList

          let isPossible count =
              ofKey
              |> Seq.truncate count
              |> Seq.map _.Observation
              |> List.ofSeq
              |> Linearizability.check evidence.First
              |> List.contains key
              |> not

          // The first calls without which there is an order are the fewest that show it, and the last of them are what is wrong.
          let rec shortest possible impossible =
              if impossible - possible <= 1 then
                  impossible
              else
                  let middle = (possible + impossible) / 2
                  if isPossible middle then shortest middle impossible else shortest possible middle

          let last = shortest 0 ofKey.Length

          { Check = "linearizability per key"
            Why = $"there is no order of the calls in which key {Client.text key} is a register"
            Core = List.ofArray ofKey[max 0 (last - 12) .. last - 1] } ]

/// Whoever sees all accounts sees all the money, and no list has an element twice.
let invariants (evidence: Evidence) =
    let isAccount key = KeyRange.contains Transactions.bankKeys key

    let opened =
        evidence.Records
        |> List.tryPick (fun (revision, effects) ->
            let isOpening effect =
                match effect with
                | Effect.Put(key, _) -> isAccount key
                | Effect.Delete _ -> false

            if List.exists isOpening effects then Some revision else None)
        |> Option.defaultValue Int64.MaxValue

    /// The accounts that a read of all of them shows.
    let accounts (call: Recorded) =
        match call.Observation.Request, Observation.reply call.Observation |> Option.map _.Response with
        | (Request.Read(Query.Range(op, _)) | Request.LocalRead(Query.Range(op, _))), Some(Response.Range answer) when
            op.Range = Transactions.bankKeys
            ->
            Some answer.Kvs
        | (Request.Read(Query.Txn txn) | Request.LocalRead(Query.Txn txn)), Some(Response.Txn(_, responses)) when
            txn.Success.Length = Transactions.accounts && keysOf call |> List.forall (_.Key >> isAccount)
            ->
            responses
            |> List.collect (function
                | Response.Range answer -> answer.Kvs
                | _ -> [])
            |> Some
        | _ -> None

    let wrong (call: Recorded) =
        match accounts call, Observation.reply call.Observation with
        | Some _, Some reply when reply.Revision < opened -> false
        | Some found, _ -> found.Length <> Transactions.accounts || List.sumBy Transactions.balance found <> Transactions.total
        | None, _ -> false

    let twice =
        [ for _, effects in evidence.Records do
              for effect in effects do
                  match effect with
                  | Effect.Put(key, entry) when (Client.text key).StartsWith("list/", StringComparison.Ordinal) ->
                      let elements = (Client.text entry.Value).Split ','
                      if (Array.distinct elements).Length <> elements.Length then Client.text key
                  | Effect.Put _
                  | Effect.Delete _ -> () ]
        |> List.distinct

    [ for call in List.filter wrong evidence.Calls do
          { Check = "invariants"
            Why = "a read of all accounts did not show all the money"
            Core = around evidence [ call ] }
      for key in twice do
          { Check = "invariants"; Why = $"the list {key} has an element twice"; Core = [] } ]

let private allEvents (evidence: Evidence) =
    [ for revision, effects in evidence.Records do
          for event in Effect.toEvents effects do
              revision, event ]

let private isMissed (watcher: Watched) (revision, _) =
    watcher.Gaps |> List.exists (fun (from, until) -> revision >= from && revision < until)

/// Events that watchers did not get because the node that they had come to had the history no more, as it said.
let missed (evidence: Evidence) =
    evidence.Watched |> List.sumBy (fun watcher -> allEvents evidence |> List.filter (isMissed watcher) |> List.length)

/// Every change once, in order, but for what a node had no more.
let watches (evidence: Evidence) =
    let expected = allEvents evidence

    [ for watcher in evidence.Watched do
          let wanted = expected |> List.filter (isMissed watcher >> not)

          let had = watcher.Had |> List.filter (fun event -> fst event <= evidence.Last.Revision && not (isMissed watcher event))

          if had <> wanted then
              let at = Seq.zip had wanted |> Seq.takeWhile (fun (one, other) -> one = other) |> Seq.length

              { Check = "watches"
                Why =
                  $"{watcher.Name} had {had.Length} events of {wanted.Length}; number {at + 1} was {Show.event (List.tryItem at had)}, and should be {Show.event (List.tryItem at wanted)}"
                Core = [] } ]
