/// What a run has seen is right, or is tampered with: then a checker says so. The checkers of spec/ have tests of their own; these are of what is made of a run for them, and of what only the chaos suite checks.
module Regatta.Chaos.Tests.CheckTests

open Expecto
open Regatta.Chaos
open Regatta.Spec

let private key text = Bytes.OfText text
let private put name value = Command.Put { Key = key name; Value = key value; PrevKv = false }

let private accounts amounts =
    Command.Txn
        { Compares = []
          Success = amounts |> List.mapi (fun at amount -> Client.put (key $"bank/{at}") (key $"{amount}#1.{at}"))
          Failure = [] }

let private commands =
    [ accounts [ 100; 100; 100; 100; 100; 100 ]
      put "reg/01" "a#1.7"
      put "list/1" "1.1,1.2,2.1"
      Command.Delete { Range = KeyRange.single (key "reg/01"); PrevKv = false; Count = false }
      put "reg/01" "b#2.8" ]
    |> List.mapi (fun at command -> int64 at + 1L, command)

let private states =
    commands |> List.scan (fun state (_, command) -> Table.apply state command |> fst) (Evidence.gather [] [] []).First

let private call client began ended request outcome isOfSession =
    { Observation = { Client = client; Request = request; Began = began; Ended = ended; Outcome = outcome }
      Kind = "test"
      Client = $"test {client}"
      Place = { Site = 0; Node = 0 }
      IsOfSession = isOfSession
      Staleness = None
      MostStaleness = None
      LeastRevision = 0L
      Failure = "" }

/// Each command is a call of a client, then there are reads of the states behind it.
let private writes =
    [ for revision, command in commands ->
          let _, reply = Table.apply states[int revision - 1] command
          call 1 (revision * 100L) (revision * 100L + 50L) (Request.Write command) (Outcome.Answered reply) false ]

let private read client moment revision range isOfSession =
    let query = Query.Range(Client.everything range, RevisionFilter.None)
    call client moment (moment + 10L) (Request.LocalRead query) (Outcome.Answered(Table.query states[revision] query)) isOfSession

let private reg = KeyRange.single (key "reg/01")

let private watched =
    { Name = "watcher"
      Had =
        [ for KeyValue(revision, effects) in (List.last states).Changelog.Records do
              for event in Effect.toEvents effects do
                  revision, event ]
      Gaps = [] }

let private evidence calls watched = Evidence.gather commands (List.sortBy _.Observation.Began (writes @ calls)) watched

let private findings evidence =
    Checks.witness evidence
    @ Checks.wishes evidence
    @ Checks.linearizability evidence
    @ Checks.invariants evidence
    @ Checks.watches evidence

let private checksOf calls watched = findings (evidence calls watched) |> List.map _.Check |> List.distinct
let private right = [ read 2 260L 2 reg true; read 2 600L 5 reg true; read 3 700L 5 Transactions.bankKeys false ]

let private told (call: Recorded) (change: Response -> Response) =
    match call.Observation.Outcome with
    | Outcome.Answered reply ->
        let reply = { reply with Response = change reply.Response }

        { call with Observation = { call.Observation with Outcome = Outcome.Answered reply } }
    | _ -> failtest "it has no answer"

let private bankTxn moment =
    let gets = List.init Transactions.accounts (fun at -> Client.get (key $"bank/{at}"))
    let query = Query.Txn { Compares = []; Success = gets; Failure = [] }
    call 3 moment (moment + 10L) (Request.LocalRead query) (Outcome.Answered(Table.query states[5] query)) false

/// One account less.
let private short call =
    told call (function
        | Response.Range answer -> Response.Range { answer with Kvs = answer.Kvs.Tail; Count = answer.Count - 1L }
        | Response.Txn(succeeded, responses) ->
            Response.Txn(succeeded, Response.Range { Kvs = []; More = false; Count = 0L } :: responses.Tail)
        | other -> failtest $"{other} is no range")

let private emptied call = told call (fun _ -> Response.Range { Kvs = []; More = false; Count = 0L })

let private cases =
    [ "as it was", right, [ watched ], []
      "a session that goes back", right @ [ read 2 800L 2 reg true ], [ watched ], [ "sessions" ]
      "one that is no session's may go back",
      right @ [ read 4 800L 2 reg false; read 4 900L 5 reg false; read 4 950L 2 reg false ],
      [ watched ],
      []
      "an answer that says that it is fresher than it is",
      right @ [ { read 4 800L 2 reg false with Staleness = Some 100L } ],
      [ watched ],
      [ "staleness" ]
      "an answer that may be staler than was asked for",
      right @ [ { read 4 900L 5 reg false with Staleness = Some 60_000L; MostStaleness = Some 50_000L } ],
      [ watched ],
      [ "staleness" ]
      "an answer that does not say how stale it is, though a bound was asked for",
      right @ [ { read 4 900L 5 reg false with MostStaleness = Some 50_000L } ],
      [ watched ],
      [ "staleness" ]
      "a bound that was kept",
      right @ [ { read 4 900L 5 reg false with Staleness = Some 40_000L; MostStaleness = Some 50_000L } ],
      [ watched ],
      []
      "a state from before another session's token",
      right @ [ { read 4 900L 2 reg false with LeastRevision = 5L } ],
      [ watched ],
      [ "sessions" ]
      "a transaction that sees all accounts", right @ [ bankTxn 900L ], [ watched ], []
      "one that does not see all the money", right @ [ short (bankTxn 900L) ], [ watched ], [ "strict serializability"; "invariants" ]
      "no account after the bank was opened",
      right @ [ emptied (read 3 800L 5 Transactions.bankKeys false) ],
      [ watched ],
      [ "strict serializability"; "invariants" ]
      "an account that is missing",
      right @ [ short (read 3 800L 5 Transactions.bankKeys false) ],
      [ watched ],
      [ "strict serializability"; "invariants" ]
      "an event that is missing", right, [ { watched with Had = List.removeAt 2 watched.Had } ], [ "watches" ]
      "an event that came twice", right, [ { watched with Had = watched.Had @ [ List.last watched.Had ] } ], [ "watches" ]
      "events of which nobody had the history any more",
      right,
      [ { watched with
            Had = List.filter (fun (revision, _) -> revision > 1L) watched.Had
            Gaps = [ 1L, 2L ] } ],
      []
      "a linearizable read of an older state",
      right
      @ [ (let old = read 5 800L 2 reg false in { old with Observation = { old.Observation with Request = Client.read reg } }) ],
      [ watched ],
      [ "strict serializability"; "linearizability per key" ] ]

let tests =
    testList
        "checks"
        [ for name, calls, watched, expected in cases do
              testCase name (fun () -> Expect.equal (checksOf calls watched) expected "the checks that find something")
          testCase "an acknowledged write that is not in the history" (fun () ->
              let lost =
                  { evidence right [ watched ] with
                      Records = (evidence right []).Records |> List.truncate 4 }

              Expect.contains (Checks.witness lost |> List.map _.Why) "an acknowledged write is not in the table's history" "it is found")
          testCase "a list that has an element twice" (fun () ->
              let twice = Evidence.gather [ 1L, put "list/1" "1.1,2.1,1.1" ] [] []
              Expect.equal (Checks.invariants twice |> List.map _.Why) [ "the list list/1 has an element twice" ] "it is found")
          testCase "a list that had an element twice, and begun anew" (fun () ->
              let twice = Evidence.gather [ 1L, put "list/1" "1.1,2.1,1.1"; 2L, put "list/1" "3.1" ] [] []
              Expect.equal (Checks.invariants twice |> List.map _.Why) [ "the list list/1 has an element twice" ] "it is found")
          testCase "the core of what was found has the calls in question, and few others" (fun () ->
              let finding = findings (evidence (right @ [ read 2 800L 2 reg true ]) [ watched ]) |> List.exactlyOne
              Expect.isLessThanOrEqual finding.Core.Length 12 "calls"
              Expect.contains (finding.Core |> List.map _.Observation.Began) 800L "the read that goes back") ]
