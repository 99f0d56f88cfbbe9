module Regatta.Integration.Tests.HistoryTests

open Expecto
open Regatta.Testing.Nodes

let private stored value created modified version = { Value = value; Created = created; Modified = modified; Version = version }
let private call change begun ended outcome = { Change = change; Begun = begun; Ended = ended; Outcome = outcome }
let private put key value begun ended outcome = call (Write [ key, value ]) begun ended outcome

let private before = { Revision = 4L; Keys = Map [ "a", stored "a0" 1L 3L 2L; "b", stored "b0" 4L 4L 1L ] }

/// Worker 0: a put, a transaction, a call without a reply. Worker 1: a delete, and a put that was refused.
let private calls fate =
    [ [ put "a" "a1" 10L 20L (Acknowledged 5L)
        call (Write [ "a", "a2"; "c", "c2" ]) 30L 40L (Acknowledged 7L)
        call (Write [ "a", "a3"; "c", "c3" ]) 50L 60L fate ]
      [ call (Remove "b") 10L 25L (Acknowledged 6L); put "b" "b1" 30L 35L (Refused "no room") ] ]

let private cut = calls (Unknown "connection reset")
let private without = { Revision = 7L; Keys = Map [ "a", stored "a2" 1L 7L 4L; "c", stored "c2" 7L 7L 1L ] }
let private withIt = { Revision = 8L; Keys = Map [ "a", stored "a3" 1L 8L 5L; "c", stored "c3" 7L 8L 2L ] }

let private accepts name calls found unknownHappened =
    testCase name (fun () ->
        match History.check before calls found with
        | Ok round ->
            Expect.equal round.UnknownButHappened unknownHappened "unknown calls that happened"
            Expect.equal round.State found "the state of the round"
        | Error violations -> failtest $"refused for %A{violations}")

let private rejects name calls found isReason =
    testCase name (fun () ->
        match History.check before calls found with
        | Ok round -> failtest $"accepted as %A{round}"
        | Error violations -> Expect.exists violations isReason $"among the reasons %A{violations}")

let private set key stored state = { state with Keys = Map.add key stored state.Keys }

let tests =
    testList
        "the check of a history"
        [ accepts "accepts a call without a reply that did not happen" cut without 0
          accepts "accepts a call without a reply that happened" cut withIt 1
          rejects "rejects an acknowledged put that is gone" cut { without with Keys = Map.remove "c" without.Keys } _.IsLost
          rejects "rejects an older value at the newer revision" cut (set "a" (stored "a1" 1L 7L 4L) without) _.IsLost
          rejects "rejects a write that was applied twice" cut (set "a" (stored "a2" 1L 7L 5L) without) _.IsLost
          rejects "rejects a revision that is not the acknowledged one" cut (set "a" (stored "a2" 1L 6L 4L) without) _.IsLost
          rejects "rejects a deleted key that is back" cut (set "b" (stored "b0" 4L 4L 1L) without) _.IsUninvited
          rejects "rejects a refused put that happened" cut { set "b" (stored "b1" 8L 8L 1L) without with Revision = 8L } _.IsUninvited
          rejects "rejects half a transaction" cut (set "c" (stored "c2" 7L 7L 1L) withIt) _.IsTorn
          rejects "rejects a transaction at two revisions" cut (set "c" (stored "c3" 7L 7L 2L) withIt) _.IsTorn
          rejects "rejects data behind the revision" cut { without with Revision = 8L } _.IsRevisionsMissing
          rejects "rejects a revision behind the data" cut { withIt with Revision = 7L } _.IsRevisionOutside
          rejects "rejects one revision for two calls" (calls (Acknowledged 7L)) withIt _.IsRevisionTwice
          rejects "rejects a revision that was there before" (calls (Acknowledged 4L)) withIt _.IsRevisionOutside
          rejects
              "rejects a later call with an earlier revision"
              [ [ put "a" "a1" 10L 20L (Acknowledged 6L) ]; [ put "b" "b1" 30L 40L (Acknowledged 5L) ] ]
              { Revision = 6L; Keys = Map [ "a", stored "a1" 1L 6L 3L; "b", stored "b1" 4L 5L 2L ] }
              _.IsOutOfOrder
          testCase "accepts a call without a reply that happens a round later" (fun () ->
              match History.check before cut without with
              | Error violations -> failtest $"refused for %A{violations}"
              | Ok round ->
                  match History.checkAfter round.Open without [] withIt with
                  | Ok later -> Expect.equal (later.UnknownButHappened, later.Open) (1, []) "what became of the open call"
                  | Error violations -> failtest $"refused for %A{violations}")
          rejects
              "rejects calls after one of the same key that has no outcome"
              [ [ put "a" "a1" 10L 20L (Unknown "reset"); put "a" "a2" 30L 40L (Acknowledged 5L) ] ]
              { before with Revision = 5L; Keys = Map.add "a" (stored "a2" 1L 5L 3L) before.Keys }
              _.IsAfterUnknown ]
