/// What DotNext expects of a log: what is acknowledged, or committed, is synced.
module Regatta.Raft.Tests.GroupLogSyncTests

open System.IO
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries

/// A leader's first entry could not be synced, and its commit has failed for that.
let private behindFailedSync (body: GroupFixture -> exn -> Task<unit>) =
    task {
        use directory = new TemporaryDirectory()
        let gate = WriteGate()
        use log = new GroupFixture(directory.Path, Some gate)
        do! soon (log.UpdateTerm 1L)
        gate.Close()
        let! _ = soonResult (log.AppendAsLeader(1L, payload 1L))
        let commit = log.Commit 1L
        gate.Fail(IOException "no sync")
        let! cause = failure commit
        do! body log cause
    }

let private appending =
    testList
        "appending"
        [ taskCase "a follower's append returns only when its entries are synced"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()
                  use log = new GroupFixture(directory.Path, Some gate)
                  do! soon (log.UpdateTerm 1L)
                  gate.Close()
                  let append = log.AppendFromLeader(1L, [ 1L, payload 1L; 1L, payload 2L ])
                  do! soon gate.Reached
                  Expect.isFalse append.IsCompleted "not before the sync"
                  Expect.equal log.Trail.LastEntryIndex 2L "the entries are in the log already"
                  gate.Open()
                  do! soon append
              }

          taskCase "an append without entries acknowledges the one before it, so it waits for that one's sync"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()
                  use log = new GroupFixture(directory.Path, Some gate)
                  do! soon (log.UpdateTerm 1L)
                  gate.Close()
                  let append = log.AppendFromLeader(1L, [ 1L, payload 1L ])
                  do! soon gate.Reached
                  let empty = log.AppendFromLeader(2L, [])
                  Expect.isFalse empty.IsCompleted "entry 1 is not synced"
                  gate.Open()
                  do! soon empty
                  do! soon append
              }

          taskCase "entries that are here already are acknowledged only when they are synced"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()
                  use log = new GroupFixture(directory.Path, Some gate)
                  do! soon (log.UpdateTerm 1L)
                  gate.Close()
                  let first = log.AppendFromLeader(1L, [ 1L, payload 1L; 1L, payload 2L ])
                  do! soon gate.Reached
                  let again = log.AppendFromLeader(1L, [ 1L, payload 1L; 1L, payload 2L ])
                  Expect.isFalse again.IsCompleted "the copy here is not synced"
                  gate.Open()
                  do! soon first
                  do! soon again
                  Expect.equal gate.Rounds 2 "term, entries; the repeated message wrote nothing"
              }

          taskCase "a leader's entry counts at once, and is committed only when it is synced here"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()
                  use log = new GroupFixture(directory.Path, Some gate)
                  do! soon (log.UpdateTerm 1L)
                  gate.Close()
                  let! index = soonResult (log.AppendAsLeader(1L, payload 1L))
                  Expect.equal index 1L "appended"
                  Expect.equal log.Trail.LastEntryIndex 1L "it counts"
                  do! soon gate.Reached
                  let commit = log.Commit 1L
                  Expect.isFalse commit.IsCompleted "not committed on a promise"
                  Expect.equal log.Trail.LastCommittedEntryIndex 0L "commit index"
                  gate.Open()
                  let! count = soonResult commit
                  Expect.equal count 1L "one entry committed"
                  Expect.equal log.Trail.LastCommittedEntryIndex 1L "commit index"
              }

          taskCase "a commit whose sync fails throws, and the commit index stays"
          <| fun () ->
              behindFailedSync (fun log cause ->
                  task {
                      Expect.stringContains cause.Message "no sync" "the cause"
                      Expect.equal log.Trail.LastCommittedEntryIndex 0L "nothing is committed"
                      let! _ = soonResult log.FailStop.Failure
                      ()
                  })

          taskCase "behind a failed sync a leader has no further entries that it could send"
          <| fun () ->
              behindFailedSync (fun log _ ->
                  task {
                      let! cause = failure (log.AppendAsLeader(1L, payload 2L))
                      Expect.stringContains cause.Message "no sync" "the cause"
                      Expect.equal log.Trail.LastEntryIndex 1L "the second one is not in the log"
                  })

          taskCase "appends wait while too much is on its way to disk"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()
                  let tight = RaftLogOptions(MaxPendingBytes = 1000L)
                  use log = new GroupFixture(directory.Path, Some gate, tight, nothingApplied)
                  do! soon (log.UpdateTerm 1L)
                  gate.Close()
                  let! _ = soonResult (log.AppendAsLeader(1L, large 1L 900))
                  do! soon gate.Reached
                  let second = log.AppendAsLeader(1L, large 2L 900)
                  Expect.isFalse second.IsCompleted "no room"
                  gate.Open()
                  let! index = soonResult second
                  Expect.equal index 2L "room as soon as the first is synced"
              } ]

let tests = testList "GroupLog" [ appending ]
