/// The generators reach what they are for, repeat from a seed, and shrink to what matters.
module Regatta.Spec.Tests.GenerateTests

open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Testing

let private sample count gen = Gen.sampleWithSeed (Rnd(uint64 Seed.current)) 50 count gen |> List.ofArray

/// How often things happen in scripts; one that never or hardly happens is not tested by any property.
let private census scripts =
    let seen = Dictionary<string, int>()

    let note what condition =
        if condition then
            seen[what] <-
                1
                + (match seen.TryGetValue what with
                   | true, n -> n
                   | _ -> 0)

    let noteTxn (before: State) (txn: Txn) =
        for compared in txn.Compares do
            let holds = Reading.holds compared before.Entries
            let target = (sprintf "%A" compared.Operand).Split([| ' '; '\n' |])[0]
            note $"{target} {compared.Relation} {holds}" true
            note $"a compare of a range {holds}" (not (KeyRange.isSingle compared.Range))

        let taken = txn.Compares |> List.forall (fun compared -> Reading.holds compared before.Entries)
        note $"a transaction of several compares {taken}" (txn.Compares.Length > 1)
        note "an empty branch taken" (if taken then txn.Success.IsEmpty else txn.Failure.IsEmpty)

        let puts =
            (if taken then txn.Success else txn.Failure)
            |> List.choose (function
                | Op.Put op -> Some op.Key
                | _ -> None)

        note "a key put twice in a transaction" (List.length (List.distinct puts) < puts.Length)

    let noteReply reply =
        match reply.Response with
        | Response.Put previous -> note "a previous pair returned" previous.IsSome
        | Response.Delete(deleted, pairs) ->
            note "several pairs deleted and returned" (deleted > 1L && pairs.Length > 1)
            note "deleted without pairs" (deleted > 0L && pairs.IsEmpty)
        | _ -> ()

    let step (before: State) command =
        let state, reply = Table.apply before command
        noteReply reply
        note "a change without effect" state.Changelog.Records[state.Revision].IsEmpty

        match command with
        | Command.Txn txn -> noteTxn before txn
        | _ -> ()

        state

    for script in scripts do
        let last = List.fold step empty script
        note "ten keys or more" (last.Entries.Count >= 10)
        note "a version of five or more" (last.Entries |> Map.exists (fun _ entry -> entry.Version >= 5L))
        note "a key created anew" (last.Entries |> Map.exists (fun _ entry -> entry.CreateRevision > 50L))

    seen

let private expected =
    [ for target in [ "Value"; "Version"; "CreateRevision"; "ModRevision" ] do
          for relation in [ "Equal"; "NotEqual"; "Greater"; "Less" ] do
              for holds in [ true; false ] -> $"{target} {relation} {holds}"
      yield! [ "Exists Equal True"; "Exists Equal False"; "a compare of a range True"; "a compare of a range False" ]
      yield! [ "a transaction of several compares True"; "a transaction of several compares False"; "an empty branch taken" ]
      yield! [ "a key put twice in a transaction"; "a previous pair returned"; "several pairs deleted and returned" ]
      yield!
          [ "deleted without pairs"
            "a change without effect"
            "ten keys or more"
            "a version of five or more"
            "a key created anew" ] ]

let private reaches =
    testCase "commands reach every outcome of every compare, and deep states" (fun () ->
        let seen = census (sample 200 (Generate.script 200))

        let times what =
            match seen.TryGetValue what with
            | true, times -> times
            | _ -> 0

        let rare =
            [ for what in expected do
                  if times what < 5 then what, times what ]

        Expect.equal rare [] $"what hardly ever happens, and how often it did (seed {Seed.current})")

let private queriesReach =
    testCase "queries reach filters that keep some keys, limits that cap, and empty answers" (fun () ->
        let state = sample 1 (Gen.listOfLength 150 (Gen.map Command.Put Generate.putOp)) |> List.head |> after
        let queries = sample 2_000 (Generate.query state)

        let answers =
            queries
            |> List.choose (fun query ->
                match query, (Table.query state query).Response with
                | Query.Range(op, filter), Response.Range answer -> Some(op, filter, answer)
                | _ -> None)

        let count what predicate =
            Expect.isGreaterThan (answers |> List.filter predicate |> List.length) 20 $"{what} (seed {Seed.current})"

        count "filtered, some" (fun (op, filter, answer) ->
            filter <> RevisionFilter.None && answer.Count > 0L && answer.Count < (range state op).Count)

        count "capped" (fun (_, _, answer) -> answer.More)
        count "capped count" (fun (op, _, answer) -> answer.More && op.Projection = Projection.CountOnly)
        count "several keys only" (fun (op, _, answer) -> op.Projection = Projection.KeysOnly && answer.Count > 1L)
        count "empty" (fun (_, _, answer) -> answer.Count = 0L)
        Expect.isGreaterThan (queries.Length - answers.Length) 100 "read-only transactions")

let private commandsMutate =
    Property.test "commands mutate, and so do the smaller ones they shrink to" 500 (Generate.script 20) Shrink.script (fun commands ->
        for command in commands do
            Expect.isTrue (Command.mutates command) "drawn"
            Expect.isTrue (Seq.forall Command.mutates (Shrink.command command)) "shrunk")

let private failure body =
    try
        body ()
        None
    with :? AssertException as e ->
        Some e.Message

let private failing () =
    Property.check "a false law" 1_000 (Generate.script 60) Shrink.script (fun commands ->
        let third = (after commands).Entries |> Map.exists (fun _ entry -> entry.Version >= 3L && not entry.Value.IsEmpty)
        Expect.isFalse third "no key has a third version")

let private shrinks =
    testCase "a false law is found, and shrunk to the few commands that refute it" (fun () ->
        match failure failing with
        | None -> failtest "the false law passed"
        | Some message ->
            Expect.stringContains message $"REGATTA_TEST_SEED={Seed.current}" "how to repeat it"
            let start = message.IndexOf "times to:"
            let shrunk = message.Substring(start, message.IndexOf "which fails because:" - start)
            Expect.equal (shrunk.Split("Put {").Length - 1) 3 $"three puts in {shrunk}"
            Expect.isFalse (shrunk.Contains "Txn" || shrunk.Contains "Delete") $"nothing else in {shrunk}"
            Expect.equal (shrunk.Split("Value = ''").Length - 1) 2 $"only the last needs a value in {shrunk}")

let private repeats =
    testCase "the same seed draws the same cases" (fun () ->
        let draw () =
            let drawn = List()
            Property.check "drawing" 20 (Generate.script 30) Shrink.script drawn.Add
            List.ofSeq drawn

        Expect.equal (draw ()) (draw ()) "twice the same"
        Expect.equal (failure failing) (failure failing) "also when it fails"
        Expect.isGreaterThan (List.distinct (draw ())).Length 15 "and not always the same script")

let tests = testList "generators" [ reaches; queriesReach; commandsMutate; shrinks; repeats ]
