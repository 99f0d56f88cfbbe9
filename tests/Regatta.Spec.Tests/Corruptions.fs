/// Ways of making a history one that cannot be, and what a checker must say of it.
module Regatta.Spec.Tests.Corruptions

open System
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Spec.Tests.SimulatedHistory

let contradictions history = Witness.check empty history.Records history.Calls
let broken history = Sessions.check empty history.Records history.Sessions
let unordered history = Linearizability.check empty history.Calls

/// Another history, of which this checker must say this; None where the history has nothing to corrupt in that way.
type Corruption = Random -> Simulated -> (Simulated * (Simulated -> bool)) option

let isChange call = Observation.write call |> Option.exists Command.mutates
let revisionOf call = Observation.reply call |> Option.map _.Revision |> Option.get
let acknowledged history = history.Calls |> List.filter (fun call -> isChange call && (Observation.reply call).IsSome)
let answered history = history.Calls |> List.filter (fun call -> (Observation.reply call).IsSome)

let oneOf (random: Random) (list: 'item list) = if list.IsEmpty then None else Some list[random.Next list.Length]

let instead (call: Observation) (other: Observation) history =
    { history with
        Calls = history.Calls |> List.map (fun each -> if obj.ReferenceEquals(each, call) then other else each) }

let says (check: Simulated -> 'found list) (isIt: 'found -> bool) = Some(fun history -> check history |> List.exists isIt)
let finds isIt history = Option.map (fun expected -> history, expected) (says contradictions isIt)
let answering reply call = { call with Outcome = Outcome.Answered reply }
let lastRevision history = history.Records |> List.last |> fst
let stateAt history (revision: Revision) = (Witness.states empty history.Records)[int revision]

/// One more revision at the end, that does what a command does.
let append command history =
    let last = stateAt history (lastRevision history)
    let next, _ = Table.apply last command

    { history with
        Records = history.Records @ [ next.Revision, next.Changelog.Records[next.Revision] ] }

let record revision change (history: Simulated) =
    { history with
        Records = history.Records |> List.map (fun (at, effects) -> at, (if at = revision then change effects else effects)) }

/// The reply of a call, changed; where that is possible.
let reply name which change isIt : string * Corruption =
    name,
    fun random history ->
        let changed call =
            match change random history call (Observation.reply call |> Option.get) with
            | Some other -> Some(call, other)
            | None -> None

        answered history
        |> List.filter which
        |> List.choose changed
        |> oneOf random
        |> Option.bind (fun (call, other) -> instead call (answering other call) history |> finds (isIt call))

let anything _ = true

let isRead call =
    match call.Request with
    | Request.Read _ -> true
    | _ -> false

let isLocal call =
    match call.Request with
    | Request.LocalRead _ -> true
    | _ -> false

let wrong call =
    function
    | WrongAnswer(found, _) -> found.Began = call.Began
    | _ -> false

/// A change of what a range answered.
let ranged name change =
    reply
        name
        anything
        (fun _ _ _ reply ->
            match reply.Response with
            | Response.Range answer -> change answer |> Option.map (fun other -> { reply with Response = Response.Range other })
            | _ -> None)
        wrong

/// A change of the first pair that was found.
let paired name (change: Entry -> Entry) =
    ranged name (fun answer ->
        match answer.Kvs with
        | first :: rest -> Some { answer with Kvs = { first with Entry = change first.Entry } :: rest }
        | [] -> None)

let txn name change =
    reply
        name
        isChange
        (fun _ _ _ reply ->
            match reply.Response with
            | Response.Txn(succeeded, responses) ->
                change succeeded responses |> Option.map (fun other -> { reply with Response = Response.Txn other })
            | _ -> None)
        wrong

/// The answer that an earlier or a later state would have given.
let asOf name which revision isIt =
    reply
        name
        which
        (fun random history call _ ->
            let query =
                match call.Request with
                | Request.Read query
                | Request.LocalRead query -> Some query
                | Request.Write _ -> None

            match query, revision random history call with
            | Some query, Some at when at >= 0L && at <= lastRevision history -> Some(Table.query (stateAt history at) query)
            | _ -> None)
        isIt

let outOfOrder call =
    function
    | OutOfOrder(earlier, later) -> earlier.Began = call.Began || later.Began = call.Began
    | _ -> false

let endedBefore (call: Observation) history =
    acknowledged history |> List.filter (fun other -> other.Ended < call.Began) |> List.map revisionOf

let begunAfter (call: Observation) history =
    acknowledged history |> List.filter (fun other -> other.Began > call.Ended) |> List.map revisionOf
