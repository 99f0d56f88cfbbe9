module Regatta.Raft.Tests.GroupLogTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open DotNext.IO.Log
open DotNext.Net.Cluster.Consensus.Raft
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures

/// What DotNext expects of a log, one test for each sentence.

let private payload (number: int64) = [| byte number; byte (number >>> 8); 77uy |]

let private large (number: int64) (size: int) = Array.init size (fun i -> byte (number * 31L + int64 i))

let private ended (work: Task) = work.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default).WaitAsync patience

let private failure (work: Task) =
    task {
        do! ended work

        return
            match Option.ofObj work.Exception with
            | Some e -> e.GetBaseException()
            | None -> failtest "it was expected to fail"
    }

/// A log with entries 1..count of the given term, appended as a leader and committed.
let private committed (log: GroupFixture) (term: int64) (count: int64) =
    task {
        do! soon (log.UpdateTerm term)

        for index in 1L .. count do
            let! appended = soonResult (log.AppendAsLeader(term, payload index))
            Expect.equal appended index "index"

        let! _ = soonResult (log.Commit count)
        return ()
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
                  Expect.stringContains cause.Message "no sync" "the cause"
                  Expect.equal log.Trail.LastCommittedEntryIndex 0L "nothing is committed"
                  let! _ = soonResult log.FailStop.Failure
                  ()
              }

          taskCase "a late message does not truncate where terms match"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 1L)
                  do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 5L -> 1L, payload i ]))
                  do! soon (log.AppendFromLeader(2L, [ 1L, payload 2L; 1L, payload 3L ]))
                  Expect.equal log.Trail.LastEntryIndex 5L "entries 4 and 5 stay"
                  let! given = soonResult (log.Read(1L, 5L))
                  Expect.equal given.Payloads [ for i in 1L .. 5L -> payload i ] "all as they were"
              }

          taskCase "an entry of another term replaces the tail, in one round"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path, Some gate)
                          do! soon (log.UpdateTerm 1L)
                          do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 5L -> 1L, payload i ]))
                          do! soon (log.UpdateTerm 2L)
                          let before = gate.Rounds
                          do! soon (log.AppendFromLeader(3L, [ 1L, payload 3L; 2L, payload 40L ]))
                          Expect.equal gate.Rounds (before + 1) "the truncation and the new entry went together"
                          Expect.equal log.Trail.LastEntryIndex 4L "entry 5 is gone"
                      }

                  use log = new GroupFixture(directory.Path, None)
                  let! given = soonResult (log.Read(1L, 4L))
                  Expect.equal given.Terms [ 1L; 1L; 1L; 2L ] "terms after reopening"
                  Expect.equal given.Payloads [ payload 1L; payload 2L; payload 3L; payload 40L ] "entries after reopening"
              }

          taskCase "a replaced proposal's callers are told that it is lost"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 1L)
                  let waiters = Waiters()
                  let entry = ProposedEntry(1L, ReadOnlyMemory(payload 1L), waiters)
                  let! _ = soonResult (log.Trail.AppendAsync(entry, CancellationToken.None).AsTask())
                  Expect.isTrue entry.IsInLog "in the log"
                  do! soon (log.UpdateTerm 2L)
                  do! soon (log.AppendFromLeader(1L, [ 2L, payload 9L ]))
                  Expect.equal waiters.Told [ "lost" ] "told once"
              }

          taskCase "a committed entry is never replaced"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  do! soon (log.UpdateTerm 2L)
                  do! soon (log.AppendFromLeader(2L, [ 2L, payload 90L; 2L, payload 91L ]))
                  let! given = soonResult (log.Read(1L, 3L))
                  Expect.equal given.Terms [ 1L; 1L; 1L ] "what was committed stays; skipping it is what was asked for"

                  let strict =
                      log.Trail
                          .AppendAsync(
                              new LogEntryProducer<Entry>([| Entry(2L, payload 9L) |]) :> ILogEntryProducer<Entry>,
                              2L,
                              false,
                              CancellationToken.None
                          )
                          .AsTask()

                  let! cause = failure strict
                  Expect.stringContains cause.Message "committed" "refused where skipping was not asked for"
              }

          taskCase "a gap is refused and leaves the log as it was"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let! _ = failure (log.AppendFromLeader(5L, [ 1L, payload 5L ]))
                  Expect.equal log.Trail.LastEntryIndex 3L "last index"
                  Expect.equal log.Store.Budget.Taken 0L "no room is kept"
              }

          taskCase "entries whose terms go back, or are above the group's, are refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 2L 3L
                  let! _ = failure (log.AppendFromLeader(4L, [ 1L, payload 4L ]))
                  let! _ = failure (log.AppendFromLeader(4L, [ 3L, payload 4L ]))
                  Expect.equal log.Trail.LastEntryIndex 3L "last index"
                  Expect.equal log.Store.Budget.Taken 0L "no room is kept"
              }

          taskCase "an entry before the first term is refused: a group with entries always has a record of its term"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  let! _ = failure (log.AppendFromLeader(1L, [ 0L, payload 1L ]))
                  let! _ = failure (log.AppendAsLeader(0L, payload 1L))
                  Expect.equal log.Trail.LastEntryIndex 0L "nothing was appended"
                  Expect.equal log.Store.Budget.Taken 0L "no room is kept"
              }

          taskCase "a proposal of a term that is over is refused, and nothing happened"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 2L 1L
                  let entry = ProposedEntry(1L, ReadOnlyMemory(payload 1L), Waiters())
                  let! cause = failure (log.Trail.AppendAsync(entry, CancellationToken.None).AsTask())
                  Expect.isTrue (cause :? StaleTermException) "the reason"
                  Expect.isFalse entry.IsInLog "not in the log"
                  Expect.equal log.Trail.LastEntryIndex 1L "last index"
              }

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

let private reading =
    testList
        "reading"
        [ taskCase "an empty range is an empty list"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let! given = soonResult (log.Read(4L, 3L))
                  Expect.equal given { Snapshot = None; Terms = []; Payloads = [] } "nothing"
              }

          taskCase "a range beyond the end is refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let mutable refused = false

                  try
                      let! _ = soonResult (log.Read(3L, 4L))
                      ()
                  with :? ArgumentOutOfRangeException ->
                      refused <- true

                  Expect.isTrue refused "refused"
              }

          taskCase "at or below the cut there is one snapshot entry with the cut's index and term"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! committed log 3L 10L
                          do! soon (log.Entries.CutAsync(6L, 0L))

                          for first in [ 1L; 6L ] do
                              let! given = soonResult (log.Read(first, 10L))
                              Expect.equal given { Snapshot = Some 6L; Terms = [ 3L ]; Payloads = [ [||] ] } $"from {first}"
                      }

                  use log = new GroupFixture(directory.Path, None, smallLog, appliedAt 6L 3L)
                  let! given = soonResult (log.Read(2L, 10L))
                  Expect.equal given.Snapshot (Some 6L) "the cut outlives a restart"
                  let! given = soonResult (log.Read(7L, 10L))
                  Expect.equal given.Payloads [ for i in 7L .. 10L -> payload i ] "and so does what is behind it"
              }

          taskCase "one read gives at most about 4 MiB, and at least one entry"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let options = RaftLogOptions(TailCacheBytes = 1L, MaxPendingBytes = 100_000_000L)
                  use log = new GroupFixture(directory.Path, None, options, nothingApplied)
                  do! soon (log.UpdateTerm 1L)

                  for index in 1L .. 10L do
                      let! _ = soonResult (log.AppendAsLeader(1L, large index (if index = 9L then 6_000_000 else 1_000_000)))
                      ()

                  let check (where: string) =
                      task {
                          let! given = soonResult (log.Read(1L, 10L))
                          Expect.equal given.Payloads.Length 4 $"{where}: four of one million bytes"
                          let! given = soonResult (log.Read(9L, 10L))
                          Expect.equal [ for p in given.Payloads -> p.Length ] [ 6_000_000 ] $"{where}: a large one comes alone"
                      }

                  do! check "from memory"
                  let! _ = soonResult (log.Commit 10L)
                  do! check "from disk"
              }

          taskCase "the term of any entry is read at (i, i), from memory, from disk and at the cut"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let options = RaftLogOptions(TailCacheBytes = 1L)
                  use log = new GroupFixture(directory.Path, None, options, nothingApplied)

                  for term in 1L .. 20L do
                      do! soon (log.UpdateTerm term)
                      let! _ = soonResult (log.AppendAsLeader(term, payload term))
                      ()

                  let! _ = soonResult (log.Commit 15L)
                  do! soon (log.Entries.CutAsync(5L, 0L))

                  for index in 5L .. 20L do
                      let! given = soonResult (log.Read(index, index))
                      Expect.equal given.Terms [ index ] $"term of entry {index}"
              }

          taskCase "what has left memory is read from disk, the same"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let options = RaftLogOptions(TailCacheBytes = 2_000L)
                  use log = new GroupFixture(directory.Path, None, options, nothingApplied)
                  do! soon (log.UpdateTerm 1L)

                  for index in 1L .. 100L do
                      let! _ = soonResult (log.AppendAsLeader(1L, large index 200))
                      let! _ = soonResult (log.Commit index)
                      ()

                  let! given = soonResult (log.Read(1L, 100L))
                  Expect.equal given.Payloads [ for i in 1L .. 100L -> large i 200 ] "all entries"

                  Expect.equal
                      [ for e in log.Entries.ReadCommitted(3L, 500L) -> e.Payload.ToArray() ]
                      [ large 3L 200; large 4L 200 ]
                      "for the applier too"
              }

          taskCase "waiting for apply means applied, not committed"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 3L
                  let second = log.Trail.WaitForApplyAsync(2L, CancellationToken.None).AsTask()
                  let next = log.Trail.WaitForApplyAsync(CancellationToken.None).AsTask()
                  Expect.isFalse second.IsCompleted "committed, but not applied"
                  log.Progress.Advance(1L, 1L)
                  do! soon next
                  Expect.isFalse second.IsCompleted "entry 2 is not applied"
                  log.Progress.Advance(2L, 2L)
                  do! soon second
                  do! soon (log.Trail.WaitForApplyAsync(1L, CancellationToken.None).AsTask())
              }

          taskCase "who cancels waiting for apply is let go, and who waits when nothing will be applied any more is told"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  use source = new CancellationTokenSource()
                  let cancelled = log.Trail.WaitForApplyAsync(5L, source.Token).AsTask()
                  let waiting = log.Trail.WaitForApplyAsync(5L, CancellationToken.None).AsTask()
                  let revision = log.Progress.WaitForRevisionAsync(5L, CancellationToken.None).AsTask()
                  source.Cancel()
                  do! ended cancelled
                  Expect.isTrue cancelled.IsCanceled "cancelled"
                  Expect.isFalse waiting.IsCompleted "the other one waits on"
                  log.Progress.Fail(IOException "over")

                  for failed in [ waiting; revision; log.Progress.WaitForIndexAsync(9L, CancellationToken.None).AsTask() ] do
                      let! cause = failure failed
                      Expect.equal cause.Message "over" "the reason"
              } ]

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

let private cutting =
    testList
        "cutting"
        [ taskCase "never goes above the commit index"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 5L
                  let! _ = soonResult (log.AppendAsLeader(1L, payload 6L))
                  Expect.throws (fun () -> log.Entries.CutAsync(6L, 0L) |> ignore) "entry 6 is not committed"
                  Expect.equal log.Entries.Bounds.First 1L "nothing was cut"
              }

          taskCase "deletes entries and remembers the cut in one round"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  let gate = WriteGate()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path, Some gate)
                          do! committed log 2L 8L
                          let before = gate.Rounds
                          do! soon (log.Entries.CutAsync(5L, 0L))
                          Expect.equal gate.Rounds (before + 1) "one round"
                          do! soon (log.Entries.CutAsync(5L, 0L))
                          do! soon (log.Entries.CutAsync(4L, 0L))
                          Expect.equal gate.Rounds (before + 1) "nothing more to cut"
                          Expect.equal log.Entries.Bounds.First 6L "first entry"
                      }

                  use failStop = new FailStop()
                  use store = openStore (directory.Sub "log") failStop None
                  let left = ResizeArray()

                  store.Scan(
                      7L,
                      1L,
                      Int64.MaxValue - 1L,
                      (fun index _ ->
                          left.Add index
                          true)
                  )

                  Expect.sequenceEqual left [ 6L; 7L; 8L ] "entries on disk"
                  let hard = store.ReadHardState(7L).Value
                  Expect.equal (hard.CutIndex, hard.CutTerm) (5L, 2L) "the cut"
              }

          taskCase "leaves the bytes that were asked for"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 1L)

                  for index in 1L .. 100L do
                      let! _ = soonResult (log.AppendAsLeader(1L, large index 20_000))
                      ()

                  let! _ = soonResult (log.Commit 100L)
                  do! soon (log.Entries.CutAsync(80L, 500_000L))
                  let left = 80L - log.Entries.Bounds.First + 1L
                  Expect.isGreaterThanOrEqual (left * 20_000L) 500_000L "at least so many bytes below the flushed index"
                  Expect.isLessThan (left * 20_000L) 700_000L "and not many more"
              }

          taskCase "an empty log has no bytes"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 1L 5L
                  Expect.isGreaterThan log.Entries.Bounds.Bytes 0L "five entries"
                  Expect.isGreaterThan (log.Entries.BytesAfter 4L) 0L "behind the fourth"
                  Expect.equal (log.Entries.BytesAfter 5L) 0L "behind the last"
                  do! soon (log.Entries.CutAsync(5L, 0L))
                  Expect.equal log.Entries.Bounds.Bytes 0L "none"
              } ]

let private snapshots =
    testList
        "a snapshot"
        [ taskCase "is taken only when the state it stands for is on this node's disk"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! soon (log.UpdateTerm 3L)
                  log.Flushed <- 9L
                  let! _ = failure (log.InstallSnapshot(10L, 3L))
                  Expect.equal log.Trail.LastEntryIndex 0L "the log is as it was"
                  log.Flushed <- 10L
                  do! soon (log.InstallSnapshot(10L, 3L))
                  Expect.equal (log.Trail.LastEntryIndex, log.Trail.LastCommittedEntryIndex) (10L, 10L) "the log goes on behind it"
              }

          taskCase "keeps the tail above it when the log holds that very entry"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! soon (log.UpdateTerm 3L)
                          do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 8L -> 3L, payload i ]))
                          log.Flushed <- 5L
                          do! soon (log.InstallSnapshot(5L, 3L))
                          let! given = soonResult (log.Read(6L, 8L))
                          Expect.equal given.Payloads [ for i in 6L .. 8L -> payload i ] "the tail"
                      }

                  use log = new GroupFixture(directory.Path, None, smallLog, appliedAt 5L 3L)
                  Expect.equal (log.Entries.Bounds.First, log.Trail.LastEntryIndex) (6L, 8L) "after a restart"
              }

          taskCase "drops a stale tail above it when the terms do not match"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      task {
                          use log = new GroupFixture(directory.Path)
                          do! soon (log.UpdateTerm 3L)
                          do! soon (log.AppendFromLeader(1L, [ for i in 1L .. 8L -> 3L, payload i ]))
                          do! soon (log.UpdateTerm 4L)
                          log.Flushed <- 5L
                          do! soon (log.InstallSnapshot(5L, 4L))
                          Expect.equal log.Trail.LastEntryIndex 5L "entries 6 to 8 are another history's"
                          do! soon (log.AppendFromLeader(6L, [ 4L, payload 60L ]))
                      }

                  use log = new GroupFixture(directory.Path, None, smallLog, appliedAt 5L 4L)
                  let! given = soonResult (log.Read(6L, 6L))
                  Expect.equal (given.Terms, given.Payloads) ([ 4L ], [ payload 60L ]) "the new history goes on behind the snapshot"
              }

          taskCase "that disagrees with a committed entry is refused"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use log = new GroupFixture(directory.Path)
                  do! committed log 3L 8L
                  do! soon (log.UpdateTerm 4L)
                  log.Flushed <- 8L
                  let! _ = failure (log.InstallSnapshot(5L, 4L))
                  Expect.equal log.Trail.LastEntryIndex 8L "nothing was lost"
              } ]

let private opening =
    let refused name (prepare: RaftLogStore -> Task<unit>) applied (expected: string list) =
        taskCase name (fun () ->
            task {
                use directory = new TemporaryDirectory()

                do!
                    task {
                        use failStop = new FailStop()
                        use store = openStore (directory.Sub "log") failStop None
                        do! prepare store
                    }

                let mutable message = ""

                try
                    use log = new GroupFixture(directory.Path, None, smallLog, applied)
                    ignore log.Trail.LastEntryIndex
                with :? InvalidDataException as e ->
                    message <- e.Message

                for part in directory.Sub "log" :: "group 7" :: "Restore" :: expected do
                    Expect.stringContains message part "the message"
            })

    let entries (store: RaftLogStore) (terms: (int64 * int64) list) =
        task {
            for index, term in terms do
                do! soon (enqueue store [ LogOp.Put(7L, index, sealedRecord 7L index term (payload index)) ])
        }

    let hard (store: RaftLogStore) term cut cutTerm = soon (enqueue store [ LogOp.Put(7L, HardState(term, Nullable(), cut, cutTerm)) ])

    testList
        "a log is refused at open"
        [ refused
              "with a hole"
              (fun store ->
                  task {
                      do! hard store 2L 0L 0L
                      do! entries store [ 1L, 1L; 2L, 1L; 4L, 1L ]
                  })
              nothingApplied
              [ "entry 3"; "missing" ]
          refused
              "when the first entry is not right behind the cut"
              (fun store ->
                  task {
                      do! hard store 2L 5L 1L
                      do! entries store [ 7L, 1L ]
                  })
              (appliedAt 5L 1L)
              [ "entry 6"; "missing" ]
          refused
              "when terms go back"
              (fun store ->
                  task {
                      do! hard store 9L 0L 0L
                      do! entries store [ 1L, 1L; 2L, 3L; 3L, 2L ]
                  })
              nothingApplied
              [ "entry 3"; "term 2" ]
          refused
              "when an entry's term is above the group's"
              (fun store ->
                  task {
                      do! hard store 2L 0L 0L
                      do! entries store [ 1L, 1L; 2L, 3L ]
                  })
              nothingApplied
              [ "entry 2"; "term 3" ]
          refused "with entries but without term and cut" (fun store -> entries store [ 1L, 1L ]) nothingApplied [ "entry 1"; "no record" ]
          refused
              "when the table has applied more than the log holds"
              (fun store ->
                  task {
                      do! hard store 2L 0L 0L
                      do! entries store [ 1L, 1L; 2L, 1L ]
                  })
              (appliedAt 3L 1L)
              [ "entry 3"; "already at 3" ]
          refused
              "when the table needs entries below the cut"
              (fun store ->
                  task {
                      do! hard store 2L 5L 1L
                      do! entries store [ 6L, 1L ]
                  })
              (appliedAt 4L 1L)
              [ "entry 5"; "starts behind 5" ]
          refused
              "when the table applied another entry than the log holds"
              (fun store ->
                  task {
                      do! hard store 2L 0L 0L
                      do! entries store [ 1L, 1L; 2L, 1L ]
                  })
              (appliedAt 2L 2L)
              [ "entry 2"; "in term 2" ]
          refused
              "when an entry lies in another group's place"
              (fun store ->
                  task {
                      do! hard store 2L 0L 0L
                      do! soon (enqueue store [ LogOp.Put(7L, 1L, sealedRecord 8L 1L 1L (payload 1L)) ])
                  })
              nothingApplied
              [ "entry 1"; "checksum" ] ]

/// What survives is compared with what was acknowledged, over random appends, truncations, cuts and crashes that lose whatever is not synced.
let private random =
    let step (random: Random) (log: GroupFixture) (model: ResizeArray<int64 * byte array>) (commit: int64) (cut: int64) =
        task {
            match random.Next 10 with
            | 0 ->
                do! soon (log.UpdateTerm(log.Trail.Term + 1L))
                return commit, cut
            | 1
            | 2 when model.Count > 0 ->
                let upTo = commit + int64 (random.Next(int (int64 model.Count - commit) + 1))
                let! _ = soonResult (log.Commit upTo)
                return max commit upTo, cut
            | 3 when commit > cut ->
                let through = cut + int64 (random.Next(int (commit - cut) + 1))
                do! soon (log.Entries.CutAsync(through, 0L))
                return commit, max cut through
            | 4
            | 5 when int64 model.Count > commit ->
                // Another leader replaces a part of what is not committed.
                let start = commit + 1L + int64 (random.Next(int (int64 model.Count - commit)))
                do! soon (log.UpdateTerm(log.Trail.Term + 1L))
                let items = [ for _ in 0 .. random.Next 4 -> log.Trail.Term, large (random.NextInt64()) (random.Next 300) ]
                do! soon (log.AppendFromLeader(start, items))
                model.RemoveRange(int start - 1, model.Count - int start + 1)
                model.AddRange items
                return commit, cut
            | _ ->
                let items = [ for _ in 0 .. random.Next 4 -> log.Trail.Term, large (random.NextInt64()) (random.Next 300) ]
                do! soon (log.AppendFromLeader(int64 model.Count + 1L, items))
                model.AddRange items
                return commit, cut
        }

    taskCase "a log equals its model over random steps, restarts and crashes"
    <| fun () ->
        task {
            let random = Random Seed.current

            for run in 1 .. Scale.pick 12 200 do
                use directory = new TemporaryDirectory()
                let model = ResizeArray<int64 * byte array>()
                let mutable commit = 0L
                let mutable cut = 0L
                let mutable term = 0L

                let options =
                    RaftLogOptions(TailCacheBytes = int64 (random.Next 2000), WriteBufferBytes = (4L <<< 20), BlockCacheBytes = (1L <<< 20))

                for life in 1..6 do
                    let name = $"seed {Seed.current}, run {run}, life {life}"
                    let cutTerm = if cut = 0L then 0L else fst model[int cut - 1]
                    let gate = WriteGate()
                    use log = new GroupFixture(directory.Path, Some gate, options, appliedAt cut cutTerm)
                    Expect.equal log.Trail.LastEntryIndex (int64 model.Count) $"{name}: last"
                    Expect.equal log.Trail.Term term $"{name}: term"
                    if term = 0L then do! soon (log.UpdateTerm 1L)
                    // What is committed is not stored: a leader finds it out again.
                    let! _ = soonResult (log.Commit commit)

                    for _ in 1 .. random.Next 25 do
                        let! nextCommit, nextCut = step random log model commit cut
                        commit <- nextCommit
                        cut <- nextCut
                        term <- log.Trail.Term

                    for index in cut + 1L .. int64 model.Count do
                        let! given = soonResult (log.Read(index, index))

                        Expect.equal
                            (given.Terms, given.Payloads)
                            ([ fst model[int index - 1] ], [ snd model[int index - 1] ])
                            $"{name}: entry {index}"

                    if random.Next 2 = 0 then
                        // A crash: this append was never synced, so it was never acknowledged, and it is gone.
                        gate.Close()
                        let lost = log.AppendFromLeader(int64 model.Count + 1L, [ term, large 1L 100 ])
                        do! soon gate.Reached
                        gate.Fail(IOException "crash")
                        do! ended lost
                        Expect.isTrue lost.IsFaulted $"{name}: not acknowledged"
        }

let tests = testList "GroupLog" [ appending; reading; terms; cutting; snapshots; opening; random ]
