/// The entries that the tests of a group's log append.
module Regatta.Raft.Tests.GroupLogEntries

open Expecto
open Regatta.Raft.Tests.Fixtures

let payload (number: int64) = [| byte number; byte (number >>> 8); 77uy |]

let large (number: int64) (size: int) = Array.init size (fun i -> byte (number * 31L + int64 i))

/// A log with entries 1..count of the given term, appended as a leader and committed.
let committed (log: GroupFixture) (term: int64) (count: int64) =
    task {
        do! soon (log.UpdateTerm term)

        for index in 1L .. count do
            let! appended = soonResult (log.AppendAsLeader(term, payload index))
            Expect.equal appended index "index"

        let! _ = soonResult (log.Commit count)
        return ()
    }
