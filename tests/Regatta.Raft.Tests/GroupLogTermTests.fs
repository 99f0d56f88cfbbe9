/// What DotNext expects of a log: it keeps term and vote.
module Regatta.Raft.Tests.GroupLogTermTests

open System.Threading
open Expecto
open Regatta.Raft.Tests.Fixtures

let private terms =
    testList
        "term and vote"
        [ taskCase "are seen only when they are synced"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()
                  use log = new GroupFixture(directory.Path, Some gate)
                  gate.Close()
                  let increment = log.Trail.IncrementTermAsync(member' 1, CancellationToken.None).AsTask()
                  do! soon gate.Reached
                  Expect.isFalse increment.IsCompleted "not before the sync"
                  Expect.equal log.Trail.Term 0L "nobody sees the term"
                  Expect.isTrue (log.MayVoteFor 2) "nor the vote"
                  gate.Open()
                  let! term = soonResult increment
                  Expect.equal (term, log.Trail.Term) (1L, 1L) "the term"
                  Expect.isFalse (log.MayVoteFor 2) "voted for 1"
              }

          taskCase "outlive a restart"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! soon (log.UpdateTerm 7L)
                          do! soon (log.Trail.UpdateVotedForAsync(member' 3, CancellationToken.None).AsTask())
                          do! soon (log.Trail.UpdateTermAsync(8L, false, CancellationToken.None).AsTask())
                      }

                  use log = new GroupFixture(directory.Path)
                  Expect.equal log.Trail.Term 8L "term"
                  Expect.isTrue (log.MayVoteFor 3) "the vote"
                  Expect.isFalse (log.MayVoteFor 4) "no other"
                  do! soon (log.UpdateTerm 9L)
                  Expect.isTrue (log.MayVoteFor 4) "a new term is a new vote"
              }

          taskCase "do not go back"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 7L)
                  let! _ = failure (log.UpdateTerm 6L)
                  Expect.equal log.Trail.Term 7L "term"
              } ]

let tests = testList "GroupLog" [ terms ]
