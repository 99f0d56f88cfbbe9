/// The transition system of a table's group has as many states as the TLA+ specification, and is broken in the same ways by the same rules: two who wrote it down agree.
module Regatta.Spec.Tests.TableRaftTests

open Expecto
open Regatta.Spec
open Regatta.Spec.TableRaft
open Regatta.Spec.Tests.Models

let faults =
    Map
        [ "acknowledges-before-the-sync", AcknowledgesBeforeTheSync
          "counts-its-own-log-before-the-sync", CountsItsOwnLogBeforeTheSync
          "forgets-its-vote", ForgetsItsVote
          "votes-without-its-disk", VotesWithoutItsDisk
          "cuts-where-terms-match", CutsWhereTermsMatch
          "keeps-a-stale-tail-under-a-snapshot", KeepsAStaleTailUnderASnapshot
          "counts-what-a-lost-disk-acknowledged", CountsWhatALostDiskAcknowledged
          "proposes-in-anothers-term", ProposesInAnothersTerm
          "commits-an-entry-of-an-older-term", CommitsAnEntryOfAnOlderTerm
          "commits-by-the-median-of-replies", CommitsByTheMedianOfReplies ]

let explore model fault isAsked =
    let bounds =
        { Members = size model "Nodes"
          MaxTerm = number model "MaxTerm"
          MaxLog = number model "MaxLog"
          MaxWipes = number model "MaxWipes"
          First = number model "First" }

    Explorer.explore [ initial bounds ] (next bounds (defaultArg fault Nothing)) key (rules |> List.filter (fst >> isAsked))

let tests = testList "a table's group" (agree (read "TableRaft") faults explore)
