/// The checkers of histories accept what a table can do, and refuse what it cannot, each for its own reason.
module Regatta.Spec.Tests.HistoryCheckerTests

open System
open System.Diagnostics
open Expecto
open Regatta.Testing
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Spec.Tests.SimulatedHistory

let private contradictions history = Witness.check empty history.Records history.Calls
let private broken history = Sessions.check empty history.Records history.Sessions
let private unordered history = Linearizability.check empty history.Calls

/// Another history, of which this checker must say this; None where the history has nothing to corrupt in that way.
type private Corruption = Random -> Simulated -> (Simulated * (Simulated -> bool)) option

let private isChange call = Observation.write call |> Option.exists Command.mutates
let private revisionOf call = Observation.reply call |> Option.map _.Revision |> Option.get
let private acknowledged history = history.Calls |> List.filter (fun call -> isChange call && (Observation.reply call).IsSome)
let private answered history = history.Calls |> List.filter (fun call -> (Observation.reply call).IsSome)

let private oneOf (random: Random) (list: 'item list) = if list.IsEmpty then None else Some list[random.Next list.Length]

let private instead (call: Observation) (other: Observation) history =
    { history with
        Calls = history.Calls |> List.map (fun each -> if obj.ReferenceEquals(each, call) then other else each) }

let private says (check: Simulated -> 'found list) (isIt: 'found -> bool) = Some(fun history -> check history |> List.exists isIt)
let private finds isIt history = Option.map (fun expected -> history, expected) (says contradictions isIt)
let private answering reply call = { call with Outcome = Outcome.Answered reply }
let private lastRevision history = history.Records |> List.last |> fst
let private stateAt history (revision: Revision) = (Witness.states empty history.Records)[int revision]

/// One more revision at the end, that does what a command does.
let private append command history =
    let last = stateAt history (lastRevision history)
    let next, _ = Table.apply last command

    { history with
        Records = history.Records @ [ next.Revision, next.Changelog.Records[next.Revision] ] }

let private record revision change (history: Simulated) =
    { history with
        Records = history.Records |> List.map (fun (at, effects) -> at, (if at = revision then change effects else effects)) }

/// The reply of a call, changed; where that is possible.
let private reply name which change isIt : string * Corruption =
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

let private anything _ = true

let private isRead call =
    match call.Request with
    | Request.Read _ -> true
    | _ -> false

let private isLocal call =
    match call.Request with
    | Request.LocalRead _ -> true
    | _ -> false

let private wrong call =
    function
    | WrongAnswer(found, _) -> found.Began = call.Began
    | _ -> false

/// A change of what a range answered.
let private ranged name change =
    reply
        name
        anything
        (fun _ _ _ reply ->
            match reply.Response with
            | Response.Range answer -> change answer |> Option.map (fun other -> { reply with Response = Response.Range other })
            | _ -> None)
        wrong

/// A change of the first pair that was found.
let private paired name (change: Entry -> Entry) =
    ranged name (fun answer ->
        match answer.Kvs with
        | first :: rest -> Some { answer with Kvs = { first with Entry = change first.Entry } :: rest }
        | [] -> None)

let private txn name change =
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
let private asOf name which revision isIt =
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

let private outOfOrder call =
    function
    | OutOfOrder(earlier, later) -> earlier.Began = call.Began || later.Began = call.Began
    | _ -> false

let private endedBefore (call: Observation) history =
    acknowledged history |> List.filter (fun other -> other.Ended < call.Began) |> List.map revisionOf

let private begunAfter (call: Observation) history =
    acknowledged history |> List.filter (fun other -> other.Began > call.Ended) |> List.map revisionOf

let private witnessed: (string * Corruption) list =
    [ "the last revisions are lost",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call -> revisionOf call > lastRevision history - 5L)
          |> oneOf random
          |> Option.bind (fun call ->
              { history with
                  Records = history.Records |> List.filter (fun (at, _) -> at < revisionOf call) }
              |> finds (function
                  | Lost found -> found.Began = call.Began
                  | _ -> false)))

      "an acknowledged write did nothing",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call -> history.Records[int (revisionOf call) - 1] |> snd |> List.isEmpty |> not)
          |> oneOf random
          |> Option.bind (fun call ->
              record (revisionOf call) (fun _ -> []) history
              |> finds (function
                  | OtherEffects found -> found.Began = call.Began
                  | _ -> false)))

      "a transaction is torn",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call -> (snd history.Records[int (revisionOf call) - 1]).Length > 1)
          |> oneOf random
          |> Option.bind (fun call ->
              record (revisionOf call) (fun effects -> List.truncate (effects.Length - 1) effects) history
              |> finds (function
                  | OtherEffects found -> found.Began = call.Began
                  | _ -> false)))

      "the changelog has another version",
      (fun random history ->
          history.Records
          |> List.filter (
              snd
              >> List.exists (function
                  | Effect.Put _ -> true
                  | Effect.Delete _ -> false)
          )
          |> oneOf random
          |> Option.bind (fun (at, _) ->
              let change =
                  function
                  | Effect.Put(key, entry) -> Effect.Put(key, { entry with Version = entry.Version + 1L })
                  | other -> other

              record at (List.map change) history
              |> finds (function
                  | Misrecorded found -> found = at
                  | _ -> false)))

      "the changelog leaves out the keys that a range took away",
      (fun random history ->
          history.Records
          |> List.filter (
              snd
              >> List.exists (function
                  | Effect.Delete _ -> true
                  | Effect.Put _ -> false)
          )
          |> oneOf random
          |> Option.bind (fun (at, _) ->
              let change =
                  function
                  | Effect.Delete(range, _) -> Effect.Delete(range, [])
                  | other -> other

              record at (List.map change) history
              |> finds (function
                  | Misrecorded found -> found = at
                  | _ -> false)))

      "the changelog leaves out a revision",
      (fun random history ->
          history.Records
          |> oneOf random
          |> Option.bind (fun (at, _) ->
              if at = lastRevision history then
                  None
              else
                  { history with Records = history.Records |> List.filter (fun (other, _) -> other <> at) }
                  |> finds (function
                      | Misrecorded found -> found = at + 1L
                      | _ -> false)))

      "a write is applied again at the end",
      (fun random history ->
          // Of a put: its value says whose it is. A delete of nothing might have been another one's.
          acknowledged history
          |> List.choose Observation.write
          |> List.filter _.IsPut
          |> oneOf random
          |> Option.bind (fun command ->
              let longer = append command history

              longer
              |> finds (function
                  | Uninvited at -> at = lastRevision longer
                  | _ -> false)))

      "a write of unknown fate happened twice",
      (fun random history ->
          let happened (call: Observation) =
              match call.Request, call.Outcome with
              | Request.Write(Command.Put put), Outcome.Unknown ->
                  history.Records
                  |> List.exists (
                      snd
                      >> List.exists (function
                          | Effect.Put(_, entry) -> entry.Value = put.Value
                          | Effect.Delete _ -> false)
                  )
              | _ -> false

          history.Calls
          |> List.filter happened
          |> List.choose Observation.write
          |> oneOf random
          |> Option.bind (fun command ->
              let longer = append command history

              longer
              |> finds (function
                  | Uninvited at -> at = lastRevision longer
                  | _ -> false)))

      "somebody else wrote",
      (fun _ history ->
          let longer = append (put "k0000" "of nobody") history

          longer
          |> finds (function
              | Uninvited at -> at = lastRevision longer
              | _ -> false))

      "a refused write happened",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call ->
              match call.Request with
              | Request.Write(Command.Put _) -> true
              | _ -> false)
          |> oneOf random
          |> Option.bind (fun call ->
              instead call { call with Outcome = Outcome.Refused } history
              |> finds (function
                  | Uninvited at -> at = revisionOf call
                  | _ -> false)))

      "two writes were told the same revision",
      (fun random history ->
          match oneOf random (acknowledged history), oneOf random (acknowledged history) with
          | Some one, Some other when not (obj.ReferenceEquals(one, other)) ->
              let reply = Observation.reply other |> Option.get

              instead other (answering { reply with Revision = revisionOf one } other) history
              |> finds (function
                  | TwoAtOneRevision _ -> true
                  | _ -> false)
          | _ -> None)

      "a write that began later came first",
      (fun random history ->
          // Two of different keys, one behind the other in both orders: they change places, and each is told so.
          let puts =
              acknowledged history
              |> List.choose (fun call ->
                  match call.Request with
                  | Request.Write(Command.Put put) -> Some(call, put)
                  | _ -> None)

          List.pairwise (puts |> List.sortBy (fst >> revisionOf))
          |> List.filter (fun ((one, a), (other, c)) ->
              revisionOf other = revisionOf one + 1L && one.Ended < other.Began && a.Key <> c.Key)
          |> oneOf random
          |> Option.bind (fun ((one, a), (other, c)) ->
              let at = revisionOf one
              let before = stateAt history (at - 1L)
              let first, replyOfOther = Table.apply before (Command.Put c)
              let second, replyOfOne = Table.apply first (Command.Put a)

              history
              |> instead one (answering replyOfOne one)
              |> instead other (answering replyOfOther other)
              |> record at (fun _ -> first.Changelog.Records[at])
              |> record (at + 1L) (fun _ -> second.Changelog.Records[at + 1L])
              |> finds (outOfOrder one)))

      asOf
          "a linearizable read is stale"
          isRead
          (fun random history call ->
              endedBefore call history
              |> List.sortDescending
              |> List.tryHead
              |> Option.map (fun at -> at - 1L - int64 (random.Next 3)))
          outOfOrder

      asOf
          "a linearizable read saw what was written later"
          isRead
          (fun random history call -> begunAfter call history |> oneOf random)
          outOfOrder
      asOf "a local read saw what was written later" isLocal (fun random history call -> begunAfter call history |> oneOf random) outOfOrder

      reply
          "a read is of a revision that never was"
          (fun call -> isRead call || isLocal call)
          (fun _ history _ reply -> Some { reply with Revision = lastRevision history + 1L })
          (fun call ->
              function
              | NoSuchState found -> found.Began = call.Began
              | _ -> false)

      paired "a value is another one" (fun entry -> { entry with Value = b "of nobody" })
      paired "a version is one too high" (fun entry -> { entry with Version = entry.Version + 1L })
      paired "a create revision is another one" (fun entry -> { entry with CreateRevision = entry.CreateRevision - 1L })
      paired "a mod revision is another one" (fun entry -> { entry with ModRevision = entry.ModRevision + 1L })
      ranged "a key is missing" (fun answer -> if answer.Kvs.IsEmpty then None else Some { answer with Kvs = answer.Kvs.Tail })
      ranged "a key is there twice" (fun answer ->
          if answer.Kvs.IsEmpty then None else Some { answer with Kvs = answer.Kvs.Head :: answer.Kvs })
      ranged "a key is there that never was" (fun answer ->
          Some { answer with Kvs = answer.Kvs @ [ kv "k9999" (entry "of nobody" 1L 1L 1L) ] })
      ranged "the count is wrong" (fun answer -> Some { answer with Count = answer.Count + 1L })
      ranged "there would be more" (fun answer -> Some { answer with More = not answer.More })
      ranged "the order is the other way round" (fun answer ->
          if answer.Kvs.Length < 2 then None else Some { answer with Kvs = List.rev answer.Kvs })
      txn "a transaction says that it took the other branch" (fun succeeded responses -> Some(not succeeded, responses))
      txn "a transaction leaves out an answer" (fun succeeded responses -> Some(succeeded, responses.Tail))
      txn "a transaction answers in another order" (fun succeeded responses ->
          if responses.Length < 2 || List.rev responses = responses then None else Some(succeeded, List.rev responses))

      reply
          "a put says that there was nothing before"
          isChange
          (fun _ _ _ reply ->
              match reply.Response with
              | Response.Put(Some _) -> Some { reply with Response = Response.Put None }
              | _ -> None)
          wrong

      reply
          "a delete counts one too many"
          isChange
          (fun _ _ _ reply ->
              match reply.Response with
              | Response.Delete(count, previous) -> Some { reply with Response = Response.Delete(count + 1L, previous) }
              | _ -> None)
          wrong

      reply
          "a put is told the revision before its own"
          isChange
          (fun _ _ _ reply ->
              match reply.Response with
              | Response.Put _ -> Some { reply with Revision = reply.Revision - 1L }
              | _ -> None)
          (fun call ->
              function
              | OtherEffects found
              | Lost found -> found.Began = call.Began
              | TwoAtOneRevision(one, other) -> one.Began = call.Began || other.Began = call.Began
              | _ -> false) ]

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

let private searched =
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

let private sessions =
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

let private seeds count = [ for number in 0 .. count - 1 -> Seed.current + number ]

let private accepted =
    testList
        "accept what a table did"
        [ for clients in [ 1; 3; 12 ] do
              testCase $"for {clients} clients" (fun () ->
                  for seed in seeds (Scale.pick 20 200) do
                      let history = run 12 clients 300 seed
                      Expect.isEmpty (contradictions history) $"the revisions, seed {seed}"
                      Expect.isEmpty (unordered history) $"the values, seed {seed}"
                      Expect.isEmpty (broken history) $"the sessions, seed {seed}") ]

let private refused =
    testList
        "refuse a history in which"
        [ for name, corrupt in witnessed @ searched @ sessions do
              testCase name (fun () ->
                  let mutable found = 0

                  for seed in seeds (Scale.pick 40 400) do
                      if found < Scale.pick 3 30 then
                          let random = Random seed

                          match corrupt random (run 6 3 150 seed) with
                          | Some(history, isSaid) ->
                              found <- found + 1
                              Expect.isTrue (isSaid history) $"for its own reason, seed {seed}"
                          | None -> ()

                  Expect.isGreaterThanOrEqual found 3 "there was something to corrupt") ]

let private pending =
    testCase "do not try deletes of unknown fate in every order" (fun () ->
        let access found left began ended = { Found = found; Left = left; Began = began; Ended = ended }
        let deletes = [ for began in 0L .. 39L -> access ValueNone [ None ] began None ]
        let first = access ValueNone [ Some(b "v") ] 0L (Some 1L)
        let read found = access (ValueSome found) [] 50L (Some 51L)
        Expect.isFalse (Linearizability.search None (first :: read (Some(b "of nobody")) :: deletes)) "nobody wrote that"
        Expect.isTrue (Linearizability.search None (first :: read None :: deletes)) "one of them may have been"
        Expect.isTrue (Linearizability.search None (first :: read (Some(b "v")) :: deletes)) "or none")

let private large =
    testCase "tell of a hundred thousand calls" (fun () ->
        let history = run 400 30 100_000 Seed.current
        let clock = Stopwatch.StartNew()
        Expect.isEmpty (contradictions history) "the revisions"
        let revisions = clock.Elapsed
        clock.Restart()
        Expect.isEmpty (unordered history) "the values"
        let values = clock.Elapsed
        clock.Restart()
        Expect.isEmpty (broken history) "the sessions"

        printfn
            "%d calls, %d revisions: by revisions %.1f s, by values %.1f s, %d calls of sessions %.1f s"
            history.Calls.Length
            history.Records.Length
            revisions.TotalSeconds
            values.TotalSeconds
            history.Sessions.Length
            clock.Elapsed.TotalSeconds)

let tests = testList "checkers of histories" [ accepted; refused; pending; large ]
