/// What is told by values alone, and by sessions.
module Regatta.Spec.Tests.SessionCorruptions

open System
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Spec.Tests.SimulatedHistory
open Regatta.Spec.Tests.Corruptions

/// The value of a single key that a linearizable read found, changed: told by values alone.
let private valued name (change: Random -> Simulated -> Observation -> Key -> Value option -> Value option option) : string * Corruption =
    name,
    fun random history ->
        let changed call =
            match call.Request, Observation.reply call with
            | Request.Read(Query.Range(op, _)), Some { Response = Response.Range answer; Revision = revision } when
                KeyRange.isSingle op.Range
                ->
                let found = answer.Kvs |> List.tryHead |> Option.map _.Entry.Value

                change random history call op.Range.Key found
                |> Option.filter ((<>) found)
                |> Option.map (fun value ->
                    let kvs =
                        [ match value with
                          | Some value ->
                              ({ Key = op.Range.Key
                                 Entry = { Value = value; CreateRevision = 1L; ModRevision = 1L; Version = 1L } }
                              : KeyValue)
                          | None -> () ]

                    call,
                    op.Range.Key,
                    { Revision = revision
                      Response = Response.Range { Kvs = kvs; More = false; Count = int64 kvs.Length } })
            | _ -> None

        answered history
        |> List.choose changed
        |> oneOf random
        |> Option.map (fun (call, key, reply) -> instead call (answering reply call) history, (fun history -> unordered history = [ key ]))

let private phantom: string * Corruption =
    "a range found a key that nobody ever wrote",
    fun random history ->
        let changed call =
            match call.Request, Observation.reply call with
            | Request.Read(Query.Range(op, _)), Some { Response = Response.Range answer; Revision = revision } when
                not (KeyRange.isSingle op.Range)
                ->
                let key = op.Range.Key.Append(b "~")
                let kvs = ({ Key = key; Entry = entry "of nobody" 1L 1L 1L }: KeyValue) :: answer.Kvs
                Some(call, key, { Revision = revision; Response = Response.Range { answer with Kvs = kvs } })
            | _ -> None

        answered history
        |> List.choose changed
        |> oneOf random
        |> Option.map (fun (call, key, reply) -> instead call (answering reply call) history, (fun history -> unordered history = [ key ]))

let private valueAt history key (revision: Revision) = Map.tryFind key (stateAt history revision).Entries |> Option.map _.Value

/// The values that the key had at the revisions from one on, as far as nothing that was under way could explain them.
let private settled history (call: Observation) key =
    let certain = endedBefore call history |> List.fold max 0L

    let openWrites =
        history.Calls
        |> List.exists (fun other -> isChange other && other.Outcome = Outcome.Unknown && other.Began < call.Ended)

    let under =
        history.Calls |> List.exists (fun other -> isChange other && other.Ended >= call.Began && other.Began <= call.Ended)

    if openWrites || under then None else Some(certain, valueAt history key certain)

let searched =
    [ phantom

      valued "a read found what nobody wrote" (fun _ _ _ _ _ -> Some(Some(b "of nobody")))

      valued "a read found what had been overwritten" (fun random history call key _ ->
          settled history call key
          |> Option.bind (fun (certain, now) ->
              [ for at in 1L .. certain do
                    match valueAt history key at with
                    | Some value when Some value <> now -> Some value
                    | _ -> () ]
              |> oneOf random))

      valued "a read found nothing of a key that was there" (fun _ history call key _ ->
          settled history call key |> Option.bind (fun (_, now) -> if now.IsSome then Some None else None))

      valued "a read found what was written only later" (fun random history call key _ ->
          history.Calls
          |> List.choose (fun other ->
              match other.Request with
              | Request.Write(Command.Put put) when put.Key = key && other.Began > call.Ended && other.Outcome <> Outcome.Refused ->
                  Some(Some put.Value)
              | _ -> None)
          |> oneOf random) ]

/// A change of what a session saw.
let private inSession name (change: Random -> Simulated -> SessionCall -> SessionCall option) isIt : string * Corruption =
    name,
    fun random history ->
        history.Sessions
        |> List.choose (fun call -> change random history call |> Option.map (fun other -> call, other))
        |> oneOf random
        |> Option.bind (fun (call, other) ->
            let sessions = history.Sessions |> List.map (fun each -> if obj.ReferenceEquals(each, call) then other else each)
            says broken (isIt call) |> Option.map (fun expected -> { history with Sessions = sessions }, expected))

let private shown history (call: SessionCall) revision =
    match call.Call.Request with
    | Request.LocalRead query when revision >= 0L && (Observation.reply call.Call).IsSome ->
        Some { call with Call = answering (Table.query (stateAt history revision) query) call.Call }
    | _ -> None

let private before history (call: SessionCall) =
    history.Sessions
    |> List.filter (fun other ->
        other.Call.Client = call.Call.Client && other.Call.Ended < call.Call.Began && (Observation.reply other.Call).IsSome)

let sessions =
    let withoutBound = Option.map (fun (call: SessionCall) -> { call with Staleness = None })

    [ inSession
          "a session went back"
          (fun random history call ->
              let known = before history call |> List.filter (fun earlier -> earlier.Life = call.Life)
              let greatest which = known |> List.filter which |> List.map (fun earlier -> revisionOf earlier.Call) |> List.fold max 0L
              let at = greatest anything - 1L - int64 (random.Next 3)
              // Not behind its own writes: that would be another reason.
              if call.Life <> empty.Incarnation || at < greatest (fun earlier -> isChange earlier.Call) then
                  None
              else
                  shown history call at |> withoutBound)
          (fun call ->
              function
              | WentBack(_, later) -> later.Call.Began = call.Call.Began
              | _ -> false)

      "a session lacks its own write",
      (fun random history ->
          // A client that wrote reads an earlier state at another site.
          acknowledged history
          |> List.filter (fun call -> revisionOf call > 1L)
          |> oneOf random
          |> Option.bind (fun call ->
              let query = Query.Range(rangeOp KeyRange.all, RevisionFilter.None)
              let at = revisionOf call - 1L

              let read =
                  { Client = call.Client
                    Request = Request.LocalRead query
                    Began = call.Ended + 1L
                    Ended = call.Ended + 1L
                    Outcome = Outcome.Answered(Table.query (stateAt history at) query) }

              let sessions = { Call = read; Life = empty.Incarnation; Staleness = None } :: history.Sessions

              says broken (function
                  | OwnWriteMissing(write, found) -> found.Call.Began = read.Began && revisionOf write.Call > at
                  | _ -> false)
              |> Option.map (fun expected -> { history with Sessions = sessions }, expected)))

      inSession
          "a bound is too low"
          (fun _ history call ->
              match call.Staleness, call.Call.Request with
              | Some _, Request.LocalRead _ ->
                  let missing =
                      acknowledged history
                      |> List.exists (fun write -> write.Ended < call.Call.Began && revisionOf write > revisionOf call.Call)

                  if missing then Some { call with Staleness = Some 0L } else None
              | _ -> None)
          (fun call ->
              function
              | BoundTooLow(read, _) -> read.Call.Began = call.Call.Began
              | _ -> false)

      inSession
          "a session reads a state that never was"
          (fun _ _ call ->
              match call.Call.Request, Observation.reply call.Call with
              | Request.LocalRead _, Some { Response = Response.Range answer; Revision = revision } when not answer.Kvs.IsEmpty ->
                  Some
                      { call with
                          Call =
                              answering { Revision = revision; Response = Response.Range { answer with Kvs = []; Count = 0L } } call.Call }
              | _ -> None)
          (fun call ->
              function
              | NotAPrefix(WrongAnswer(found, _)) -> found.Began = call.Call.Began
              | _ -> false)

      inSession
          "a session reads a deleted table's state"
          (fun _ history call ->
              if (before history call).IsEmpty || (Observation.reply call.Call).IsNone || call.Life <> empty.Incarnation then
                  None
              else
                  Some { call with Life = { call.Life with Number = call.Life.Number - 1L } })
          (fun call ->
              function
              | OtherLife(_, later) -> later.Call.Began = call.Call.Began
              | _ -> false)

      inSession
          "a session reads a table of another history"
          (fun _ history call ->
              if (before history call).IsEmpty || (Observation.reply call.Call).IsNone || call.Life <> empty.Incarnation then
                  None
              else
                  Some { call with Life = { call.Life with History = Guid.NewGuid() } })
          (fun call ->
              function
              | OtherLife(_, later) -> later.Call.Began = call.Call.Began
              | _ -> false) ]
