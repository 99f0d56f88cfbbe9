/// The checkers of histories accept what a table can do, and refuse what it cannot, each for its own reason.
module Regatta.Spec.Tests.HistoryCheckerTests

open System
open System.Diagnostics
open Expecto
open Regatta.Testing
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Spec.Tests.SimulatedHistory
open Regatta.Spec.Tests.Corruptions
open Regatta.Spec.Tests.WitnessCorruptions
open Regatta.Spec.Tests.SessionCorruptions

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
