/// What a leader says of its commit index apart from its rounds.
module Regatta.Raft.Tests.CommitNoticeTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries
open Regatta.Raft.Tests.Puppets

/// A follower's log in term 2 with three entries, the first committed.
let private follower (directory: string) =
    task {
        let log = new GroupFixture(directory)
        do! committed log 1L 1L
        do! soon (log.UpdateTerm 2L)
        let records = [| for number in 2L .. 3L -> LogRecord.New(2L, false, ReadOnlySpan(payload number)) |]
        do! log.Entries.TakeRoomAsync(records |> Array.sumBy _.LongLength, CancellationToken.None).AsTask()
        do! soon (log.Entries.AppendFromLeader(ReadOnlySpan records, 2L))
        return log
    }

let private learns name (steps: (EntryLog -> ValueTask) list) expected =
    taskCase name
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            let! opened = follower directory.Path
            use log = opened

            for step in steps do
                do! soon ((step log.Entries).AsTask())

            Expect.equal log.Entries.Commit expected "the commit index"
        }

let private told term index (log: EntryLog) = log.OnToldAsync(term, index)
let private matched term index (log: EntryLog) = log.OnMatchedAsync(term, index)

let private refuses name (message: byte array) =
    taskCase name
    <| fun () ->
        task {
            let! refusal =
                task {
                    try
                        do! CommitNotices.ReceiveAsync(ReadOnlyMemory message, (fun _ -> failtest "a log was asked for")).AsTask()
                        return None
                    with :? InvalidDataException as e ->
                        return Some e.Message
                }

            Expect.isSome refusal "it is refused"
        }

let tests =
    testList
        "commit notices"
        [ learns "told after the entries are here" [ matched 2L 3L; told 2L 3L ] 3L
          learns "told before the entries are here" [ told 2L 3L; matched 2L 3L ] 3L
          learns "only what this log is known to have in common with the leader" [ matched 2L 2L; told 2L 3L ] 2L
          learns "only what is committed" [ matched 2L 3L; told 2L 2L ] 2L
          learns "of another term's leader nothing is known" [ told 1L 3L; matched 2L 3L ] 1L
          learns "what was in common with another term's leader counts no longer" [ matched 1L 3L; told 2L 3L ] 1L
          learns "a late notice takes nothing back" [ matched 2L 3L; told 2L 3L; told 2L 2L; told 1L 3L ] 3L

          refuses "a message that is cut off" (RaftMessages.Numbers(ReadOnlySpan [| 1L; 2L; 3L |]) |> Array.take 20)
          refuses "a message with a notice that is cut off" (RaftMessages.Numbers(ReadOnlySpan [| 1L; 2L; 3L; 4L |]))

          taskCase "a leader tells the others although no entry and no heartbeat follows"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use stage = new Stage(directory.Path, 3, untimed)
                  do! stage.Start()
                  do! stage.Leads()
                  let! outcome = soonResult (stage.Group.ProposeAsync(ProposalLog.put 1 1, CancellationToken.None).AsTask())
                  Expect.equal outcome.Failure GroupFailure.None "the write"
                  let index = stage.Group.Entries.Commit

                  for node in [ 2L; 3L ] do
                      let! notice = soonResult (stage.ToldOf node)
                      Expect.sequenceEqual (RaftMessages.DecodeNumbers notice) [ 7L; stage.Group.Term; index ] $"what node {node} was told"
              } ]
