/// What holds for every table, whatever is done to it.
module Regatta.Spec.Tests.Laws

open Expecto
open FsCheck.FSharp
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Testing

let private cases = Scale.pick 400 20_000
let private law name body = Property.test name cases (Generate.script 60) Shrink.script body

/// The states that a script goes through, the first one included.
let private states commands = commands |> List.scan (fun state command -> Table.apply state command |> fst) empty

let private everyStep name body =
    law name (fun commands ->
        for (before, after), command in List.zip (List.pairwise (states commands)) commands do
            body before command after)

let private sameData message (expected: State) (actual: State) =
    Expect.equal actual.Entries expected.Entries message
    Expect.equal actual.Revision expected.Revision message

let private retained (state: State) =
    match Changelog.since state.Changelog.Oldest state.Changelog with
    | Ok records -> records
    | Error error -> failtestf "the changelog cannot be read from its own start: %A" error

let private invariants (state: State) =
    for kv in Table.content state do
        let entry = kv.Entry
        Expect.isTrue (1L <= entry.CreateRevision && entry.CreateRevision <= entry.ModRevision) $"1 <= create <= mod of {kv.Key}"
        Expect.isTrue (entry.ModRevision <= state.Revision) $"mod <= revision of {kv.Key}"
        Expect.isTrue (entry.Version >= 1L) $"1 <= version of {kv.Key}"

let private replayed (history: State list) from =
    let last = List.last history

    match Changelog.since (from + 1L) last.Changelog with
    | Ok records -> List.fold Table.replay history[int from] records
    | Error error -> failtestf "the changelog was not trimmed, and says %A" error

/// The responses of a command list, each without the revisions that it shows.
let private untimed response =
    let entry (entry: Entry) = { entry with CreateRevision = 0L; ModRevision = 0L }
    let kv (kv: KeyValue) = { kv with Entry = entry kv.Entry }

    match response with
    | Response.Range answer -> Response.Range { answer with Kvs = List.map kv answer.Kvs }
    | Response.Put previous -> Response.Put(Option.map kv previous)
    | Response.Delete(deleted, pairs) -> Response.Delete(deleted, List.map kv pairs)
    | Response.Txn _
    | Response.Dummy -> response

let private alone state op =
    match op with
    | Op.Put op -> Table.apply state (Command.Put op)
    | Op.Delete op -> Table.apply state (Command.Delete op)
    | Op.Range op -> state, Table.query state (Query.Range(op, RevisionFilter.None))

let private untimedContent state = Table.content state |> List.map (fun kv -> kv.Key, kv.Entry.Value, kv.Entry.Version)

let private scriptAndOps =
    Gen.map2
        (fun commands ops -> commands, ops)
        (Generate.script 20)
        (Gen.choose (1, 8) |> Gen.bind (fun n -> Gen.listOfLength n Generate.op))

let private scriptAndQuery =
    let query commands = Generate.query (after commands) |> Gen.map (fun query -> commands, query)
    Generate.script 40 |> Gen.bind query

let private shrinkPair first second (a, b) =
    seq {
        for smaller in first a -> smaller, b
        for smaller in second b -> a, smaller
    }

let private queryLaw name body = Property.test name cases scriptAndQuery (shrinkPair Shrink.script Shrink.query) body

/// The answer cut into pages of `size` keys.
let private cut size (whole: RangeAnswer) =
    match List.chunkBySize size whole.Kvs with
    | [] -> [ whole ]
    | chunks ->
        chunks
        |> List.mapi (fun index kvs ->
            let last = index = chunks.Length - 1
            { Kvs = kvs; Count = int64 kvs.Length; More = not last || whole.More })

let tests =
    testList
        "laws"
        [ everyStep "every mutating command takes exactly one revision and its reply carries it" (fun before command after ->
              Expect.equal after.Revision (before.Revision + 1L) "the revision"
              Expect.equal (reply before command).Revision after.Revision "the reply's revision")

          everyStep "versions and revisions of every key stay in bounds" (fun _ _ after -> invariants after)

          everyStep "a command touches no key that its effects do not name" (fun before _ after ->
              let touched =
                  after.Changelog.Records[after.Revision]
                  |> Effect.toEvents
                  |> List.map (fun event ->
                      match event with
                      | Event.Put kv -> kv.Key
                      | Event.Delete key -> key)
                  |> Set.ofList

              let untouched state = state.Entries |> Map.filter (fun key _ -> not (touched.Contains key))
              Expect.equal (untouched after) (untouched before) "the other keys"

              for key in touched do
                  match Map.tryFind key after.Entries with
                  | Some entry -> Expect.equal entry.ModRevision after.Revision $"mod_revision of {key}"
                  | None -> ())

          law "replaying the effects from any revision gives the state that the commands gave" (fun commands ->
              let history = states commands
              let last = List.last history

              for from in 0L .. last.Revision do
                  let again = replayed history from
                  sameData $"replayed from {from}" last again
                  Expect.equal again.Changelog last.Changelog "the changelog of the one that replays")

          law "a trimmed changelog holds exactly the revisions it says, and says what is gone" (fun commands ->
              let last = after commands

              for oldest in -1L .. last.Revision + 3L do
                  let trimmed = Table.trim oldest last
                  let expected = oldest |> max 1L |> min (last.Revision + 1L)
                  Expect.equal trimmed.Changelog.Oldest expected "the oldest revision retained"
                  Expect.equal (retained trimmed |> List.map fst) [ expected .. last.Revision ] "the revisions retained"
                  sameData "trimming changes no data" last trimmed
                  let gone = Changelog.since (expected - 1L) trimmed.Changelog
                  Expect.equal gone (Error(ChangelogError.Compacted expected)) "below the oldest"
                  let ahead = Changelog.since (last.Revision + 2L) trimmed.Changelog
                  Expect.equal ahead (Error(ChangelogError.Ahead last.Revision)) "beyond the next")

          law "a delete of everything leaves nothing to count, and the revisions go on" (fun commands ->
              let before = after commands
              let deleted = Command.Delete { Range = KeyRange.all; PrevKv = true; Count = false }
              let state, reply = Table.apply before deleted
              let number = int64 before.Entries.Count
              Expect.equal reply.Response (Response.Delete(number, Table.content before)) "what was deleted"
              let counted = range state { rangeOp KeyRange.all with Projection = Projection.CountOnly }
              Expect.equal counted { Kvs = []; Count = 0L; More = false } "what is left"
              Expect.equal state.Revision (before.Revision + 1L) "the revision")

          Property.test
              "a transaction without compares is its operations one after the other, at one revision"
              cases
              scriptAndOps
              (shrinkPair Shrink.script (Shrink.list Shrink.op))
              (fun (commands, ops) ->
                  let before = after commands
                  let together, reply = Table.apply before (Command.Txn { Compares = []; Success = ops; Failure = [ opDelete "a" ] })
                  let step state op = let state, reply = alone state op in reply.Response, state
                  let responses, apart = List.mapFold step before ops
                  Expect.equal (untimedContent together) (untimedContent apart) "values and versions"

                  match reply.Response with
                  | Response.Txn(true, inside) -> Expect.equal (List.map untimed inside) (List.map untimed responses) "the responses"
                  | other -> failtestf "a transaction without compares answered %A" other)

          queryLaw "a query of a past state is not affected by what happens later" (fun (commands, query) ->
              let answers (history: History) =
                  [ for revision in 0L .. (History.latest history).Revision ->
                        History.at revision history |> Option.map (fun state -> Table.query state query) ]

              let step (history, seen) command =
                  let next = History.apply history command |> fst
                  next, seen @ [ Some(Table.query (History.latest next) query) ]

              let start = History.start empty
              let history, seen = List.fold step (start, answers start) commands
              Expect.equal (answers history) seen "the answer at each revision")

          queryLaw "a query's answer counts its keys, keeps them in order and stays within its limit" (fun (commands, query) ->
              match query, (Table.query (after commands) query).Response with
              | Query.Range(op, _), Response.Range answer ->
                  Expect.equal (List.sort (keysOf answer)) (keysOf answer) "the order"
                  Expect.isTrue (op.Limit = 0L || answer.Count <= op.Limit) "the limit"
                  Expect.isTrue (List.forall (KeyRange.contains op.Range) (keysOf answer)) "the range"
                  let shown = if op.Projection = Projection.CountOnly then 0L else answer.Count
                  Expect.equal (int64 answer.Kvs.Length) shown "the count"
                  let whole = ask (after commands) (Query.Range({ op with Limit = 0L }, RevisionFilter.None))
                  Expect.isTrue (answer.More <= (whole.Count > answer.Count)) "more, only if there is more"
              | Query.Txn _, Response.Txn _ -> ()
              | _, other -> failtestf "answered with %A" other)

          queryLaw "pages of any size concatenate to the answer, and the first one is a right first page" (fun (commands, query) ->
              match (Table.query (after commands) query).Response with
              | Response.Range whole ->
                  for size in 1..4 do
                      let pages = cut size whole
                      Expect.equal (Pages.concatenate whole pages) (Ok()) $"pages of {size}"
                      Expect.equal (Pages.isFirst whole pages.Head) (Ok()) $"the first of the pages of {size}"
              | _ -> ()) ]
