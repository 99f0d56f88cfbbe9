module Regatta.Raft.Tests.GroupLogModelTests

open System
open System.IO
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupLogEntries

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

                        let expected = Seq.skip (int index - 1) model |> Seq.truncate given.Terms.Length |> List.ofSeq
                        Expect.isNonEmpty given.Terms $"{name}: entry {index} at least"
                        Expect.equal (List.zip given.Terms given.Payloads) expected $"{name}: from entry {index} on"

                    if random.Next 2 = 0 then
                        // A crash: this append was never synced, so it was never acknowledged, and it is gone.
                        gate.Close()
                        let lost = log.AppendFromLeader(int64 model.Count + 1L, [ term, large 1L 100 ])
                        do! soon gate.Reached
                        gate.Fail(IOException "crash")
                        do! ended lost
                        Expect.isTrue lost.IsFaulted $"{name}: not acknowledged"
        }

let tests = testList "GroupLog" [ random ]
