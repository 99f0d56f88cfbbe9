/// The transition system of a table at two sites, held to its TLA+ specification in the same way.
module Regatta.Spec.Tests.SiteReplicationTests

open Expecto
open Regatta.Spec
open Regatta.Spec.SiteReplication
open Regatta.Spec.Tests.Models

let private faults =
    Map
        [ "ignores-the-chain-hash", IgnoresTheChainHash
          "swap-is-not-atomic", SwapIsNotAtomic
          "shares-a-revision-inside-a-batch", SharesARevisionInsideABatch
          "applies-without-the-revision-check", AppliesWithoutTheRevisionCheck
          "goes-on-behind-a-skipped-batch", GoesOnBehindASkippedBatch
          "does-not-wait-for-its-batch", DoesNotWaitForItsBatch ]

let private explore model fault isAsked =
    let bounds =
        { Members = size model "Nodes"
          MaxRevision = number model "MaxRevision"
          MaxForks = number model "MaxForks"
          MaxEntries = number model "MaxEntries"
          MaxOrders = number model "MaxOrders"
          MaxMoves = number model "MaxMoves" }

    Explorer.explore (initial bounds) (next bounds (defaultArg fault Nothing)) key (rules |> List.filter (fst >> isAsked))

let tests = testList "a table at two sites" (agree (read "SiteReplication") faults explore)
