/// What goes into an entry, and what its callers are told.
module Regatta.Raft.Tests.BatcherTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.ProposalLog

let tests =
    testList
        "Batcher"
        [ taskCase "what arrives while an entry is on its way becomes the next one, in order"
          <| fun () ->
              task {
                  let log = Log options
                  let first = log.Propose(put 1 10)
                  let entry = log.Next()
                  Expect.equal (numbers entry) [ 1 ] "the first goes alone"
                  let others = [ for number in 2..50 -> log.Propose(put number 10) ]
                  Expect.equal log.Count 0 "one proposal is in flight"
                  entry.Waiters.Committed()
                  let second = log.Next()
                  Expect.equal (numbers second) [ 2..50 ] "all others together, before the first is applied"
                  Expect.isFalse first.IsCompleted "committed is not applied"
                  apply entry 1
                  let! done' = outcome first
                  Expect.equal (nonNull done'.Result).Revision 1L "the first one's revision"
                  apply second 2

                  for number, waiting in List.indexed others do
                      let! done' = outcome waiting
                      Expect.equal (nonNull done'.Result).Revision (int64 (number + 2)) "each its own result"

                  Expect.equal log.Batcher.Waiting 0 "nobody waits"
              }

          taskCase "an entry is bounded by bytes, and one large command goes alone"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(EntryBytes = 1000))
                  let calls = [ for number, size in [ 1, 1; 2, 400; 3, 400; 4, 400; 5, 5000; 6, 1 ] -> log.Propose(put number size) ]
                  let entries = ResizeArray()

                  while List.sum (List.map List.length (List.ofSeq entries)) < 6 do
                      let entry = log.Next()
                      entries.Add(numbers entry)
                      apply entry 1

                  Expect.equal (List.concat entries) [ 1..6 ] "in order"
                  Expect.contains entries [ 5 ] "the large one alone"
                  Expect.isLessThan (entries |> Seq.map List.length |> Seq.max) 4 "never three of 400 bytes with another"

                  for call in calls do
                      let! done' = outcome call
                      Expect.equal done'.Failure GroupFailure.None "done"
              }

          taskCase "an entry is bounded by commands"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(EntryCommands = 10))
                  let first = log.Propose(put 0 1)
                  let entry = log.Next()
                  let others = [ for number in 1..25 -> log.Propose(put number 1) ]
                  apply entry 1
                  let sizes = ResizeArray()

                  while Seq.sum sizes < 25 do
                      let entry = log.Next()
                      sizes.Add (numbers entry).Length
                      apply entry 2

                  Expect.sequenceEqual sizes [ 10; 10; 5 ] "entries"
                  let! _ = outcome first
                  let! _ = soonResult (Task.WhenAll others)
                  ()
              }

          taskCase "one more than may wait is refused at once, and nothing is queued for it"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(MaxWaiting = 5))
                  let waiting = [ for number in 1..5 -> log.Propose(put number 1) ]
                  let! refused = outcome (log.Propose(put 6 1))
                  Expect.equal refused.Failure GroupFailure.Overloaded "overloaded"
                  let applied = ResizeArray()

                  while applied.Count < 5 do
                      let entry = log.Next()
                      applied.AddRange(numbers entry)
                      apply entry 1

                  Expect.sequenceEqual applied [ 1..5 ] "only what was taken"
                  let! _ = soonResult (Task.WhenAll waiting)
                  let again = log.Propose(put 7 1)
                  apply (log.Next()) 6
                  let! done' = outcome again
                  Expect.equal done'.Failure GroupFailure.None "there is room again"
              }

          taskCase "the bytes of those who wait are bounded too"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(MaxWaitingBytes = 1000L))
                  let first = log.Propose(put 1 5000)
                  let! refused = outcome (log.Propose(put 2 1))
                  Expect.equal refused.Failure GroupFailure.Overloaded "a large one is taken alone; then there is no room"
                  apply (log.Next()) 1
                  let! done' = outcome first
                  Expect.equal done'.Failure GroupFailure.None "the large one"
              }

          taskCase "callers of a lost entry are told that it is unknown, and the next entry goes"
          <| fun () ->
              task {
                  let log = Log options
                  let lost = log.Propose(put 1 1)
                  let entry = log.Next()
                  let next = log.Propose(put 2 1)
                  entry.Waiters.Lost "a test says so"
                  let! outcome' = outcome lost
                  Expect.equal outcome'.Failure GroupFailure.Unknown "unknown"
                  Expect.stringContains (nonNull outcome'.Reason) "a test says so" "the reason"
                  apply (log.Next()) 1
                  let! done' = outcome next
                  Expect.equal done'.Failure GroupFailure.None "the next one"
              }

          taskCase "closing refuses who waits and who comes, and lets the entry on its way finish"
          <| fun () ->
              task {
                  let log = Log options
                  let first = log.Propose(put 1 1)
                  let entry = log.Next()
                  let waiting = log.Propose(put 2 1)
                  log.Batcher.Close(GroupFailure.Stopped, "closing")
                  let! stopped = outcome waiting
                  Expect.equal stopped.Failure GroupFailure.Stopped "who waited"
                  let! late = outcome (log.Propose(put 3 1))
                  Expect.equal late.Failure GroupFailure.Stopped "who comes late"
                  let drained = log.Batcher.DrainAsync()
                  Expect.isFalse drained.IsCompleted "an entry is on its way"
                  apply entry 1
                  do! soon drained
                  let! done' = outcome first
                  Expect.equal done'.Failure GroupFailure.None "the entry on its way"
                  Expect.equal log.Count 0 "nothing else was proposed"
              }

          taskCase "a reason to refuse is given at once"
          <| fun () ->
              task {
                  let log = Log options
                  log.Refusal <- Nullable(ProposalOutcome.Failed(GroupFailure.DiskFull, "full"))
                  let! refused = outcome (log.Propose(put 1 1))
                  Expect.equal refused.Failure GroupFailure.DiskFull "refused"
                  log.Refusal <- Nullable()
                  let taken = log.Propose(put 1 1)
                  apply (log.Next()) 1
                  let! done' = outcome taken
                  Expect.equal done'.Failure GroupFailure.None "taken"
              } ]
