/// Nodes on which a fetched state is installed.
module Regatta.Raft.Tests.SnapshotInstallFixtures

open System
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Storage
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.NodeGroups
open Regatta.Raft.Tests.SnapshotFixtures

/// The log that a node has when the snapshot comes: terms of entries 1 to n, and its own term.
type Former = { Terms: int64 list; Term: int64 }

let voteFor = member' 3

let withLog (directory: NodeDirectory) (beforeWrite: Action | null) (body: RaftLogStore -> Task<'a>) =
    task {
        use failStop = new FailStop()
        use log = RaftLogStore.Open(directory.LogPath, smallLog, failStop, beforeWrite)
        return! body log
    }

/// A node whose table is at entry 10, with a log, and that has fetched a snapshot.
let prepare (path: string) (serving: ServingNode) (former: Former) =
    task {
        use node = new FetchingNode(path, TimeProvider.System)
        let directory = node.Directory

        if not former.Terms.IsEmpty then
            use environment = environment ()
            use store = TableStore.Open(directory.TablePath group, incarnation, environment)
            fill store (Random 77) 10
            store.Flush()

            do!
                withLog directory null (fun log ->
                    task {
                        let entries = EntryLog(log, group)
                        entries.Open nothingApplied

                        for term in former.Terms do
                            if term > entries.Term then
                                let! _ = entries.SetTermAsync(fun hard -> HardState(term, Nullable(), hard.CutIndex, hard.CutTerm))
                                ()

                            let record = LogRecord.New(term, false, ReadOnlySpan [| 1uy |])
                            do! entries.TakeRoomAsync(record.Length, System.Threading.CancellationToken.None)
                            entries.Append(record, null) |> ignore

                        let! _ = entries.SetTermAsync(fun hard -> HardState(former.Term, Nullable voteFor, hard.CutIndex, hard.CutTerm))
                        return ()
                    })

        return! node.Fetch(DirectPeer(serving, 2L))
    }

/// What a node finds at its next start.
[<NoComparison>]
type Found = { Content: Content; First: int64; Last: int64; Term: int64; MayVoteForOther: bool }

let start (path: string) =
    task {
        use directory = NodeDirectory.Open(path, NodeRole.Leader, 1L, Nullable history)
        use environment = environment ()

        return!
            withLog directory null (fun log ->
                task {
                    let! _ = SnapshotInstall.CompleteAsync(directory, log, group)
                    let! again = SnapshotInstall.CompleteAsync(directory, log, group)
                    Expect.isFalse again "complete is complete"
                    use store = TableStore.Open(directory.TablePath group, incarnation, environment)
                    let entries = EntryLog(log, group)
                    entries.Open store.Applied
                    let other = member' 4

                    return
                        { Content = content store
                          First = entries.Bounds.First
                          Last = entries.Last
                          Term = entries.Term
                          MayVoteForOther = entries.MayVoteFor &other }
                })
    }

let install (path: string) (fetched: FetchedSnapshot) (beforeWrite: Action | null) (reached: InstallStep -> unit) =
    task {
        use directory = NodeDirectory.Open(path, NodeRole.Leader, 1L, Nullable history)
        return! withLog directory beforeWrite (fun log -> SnapshotInstall.RunAsync(directory, log, fetched, Action<InstallStep> reached))
    }

let repeated count term = List.replicate count term

/// Logs, and what is in them behind a snapshot at 60 of term 3 from a leader in term 5.
let formers =
    [ "short", { Terms = repeated 20 3L; Term = 3L }, (61L, 60L)
      "with the same entry and more", { Terms = repeated 70 3L @ repeated 5 4L; Term = 4L }, (61L, 75L)
      "with another entry in its place", { Terms = repeated 10 3L @ repeated 70 4L; Term = 4L }, (61L, 60L)
      "of a later term", { Terms = repeated 20 3L; Term = 9L }, (61L, 60L)
      "none, as the table", { Terms = []; Term = 0L }, (61L, 60L) ]

let expectInstalled name (serving: ServingNode) (former: Former) (first, last) (found: Found) =
    Expect.equal found.Content (serving.ContentAt 60L) $"{name}: the state"
    Expect.equal (found.First, found.Last) (first, last) $"{name}: the log"
    Expect.equal found.Term (max former.Term 5L) $"{name}: the term"
    Expect.equal found.MayVoteForOther (former.Term < 5L) $"{name}: a vote of an older term is no vote, one of this term stands"
