/// A group's log when the node dies in any round of a follower's truncations.
module Regatta.Raft.Tests.GroupLogTornTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.LogPicture

/// Lets so many rounds reach the disk; the next one, and all after it, do not.
let private dying (rounds: int) =
    let mutable left = rounds

    Action(fun () -> if Interlocked.Decrement &left < 0 then raise (IO.IOException "a test pulls the plug"))

let private payload (term: int64) (index: int64) = BitConverter.GetBytes(term * 1000L + index)

/// Three leaders, each with a shorter log than the one before: what a follower is sent, one message after the other.
let private messages = [ 1L, 1L, 9; 2L, 4L, 3; 3L, 5L, 1; 4L, 2L, 2 ]

/// The terms that the log had whenever all of it was on disk, oldest first, as far as it came.
let private follow (directory: string) (rounds: int) =
    task {
        use failStop = new FailStop()
        use store = RaftLogStore.Open(directory, smallLog, failStop, dying rounds)
        let entries = EntryLog(store, 7L)
        entries.Open nothingApplied
        let mutable whole = [ [] ]

        try
            for term, start, count in messages do
                let! _ = entries.SetTermAsync(fun hard -> HardState(term, hard.Vote, hard.CutIndex, hard.CutTerm)).AsTask()

                let records =
                    [| for index in start .. start + int64 count - 1L -> LogRecord.New(term, false, ReadOnlySpan(payload term index)) |]

                do! entries.TakeRoomAsync(records |> Array.sumBy _.LongLength, CancellationToken.None).AsTask()
                let kept = whole.Head |> List.truncate (int start - 1)
                // The next one is possible from here on: it may be on disk although nobody was told.
                whole <- (kept @ List.replicate count term) :: whole
                do! soon (entries.AppendFromLeader(ReadOnlySpan records, start))

            return whole, true
        with :? IO.IOException ->
            return whole, false
    }

let private crashes =
    taskCase "is, after a crash in any round, as it was before a truncation or as it is after it: terms never go down"
    <| fun () ->
        task {
            let mutable rounds = 0
            let mutable complete = false

            while not complete do
                use directory = new TemporaryDirectory()
                let! whole, ended = follow (directory.Sub "log") rounds
                use failStop = new FailStop()
                use store = openStore (directory.Sub "log") failStop None
                let entries = EntryLog(store, 7L)
                // Refuses terms that go down.
                entries.Open nothingApplied
                let found = [ for content in (read entries).Contents -> content.Term ]
                let possible = if ended then [ whole.Head ] else List.truncate 2 whole
                Expect.contains possible found $"after {rounds} rounds"
                complete <- ended
                rounds <- rounds + 1

            Expect.isGreaterThan rounds (2 * messages.Length) "each message is two rounds, one of the term and one of the entries"
        }

let tests = testSequenced (testList "GroupLog" [ testList "torn" [ crashes ] ])
