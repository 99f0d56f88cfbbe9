/// Where the evidence comes from: what a group commits, and what nodes say to each other.
module Regatta.Raft.Tests.Watching

open System
open DotNext.Net.Cluster.Consensus.Raft
open Regatta.Raft
open Regatta.Raft.Tests.LogPicture
open Regatta.Raft.Tests.Evidence

/// Watches one life of a group on a node: what it has at its start, what it commits.
let watchGroup (evidence: Evidence) (node: int64) (group: TableGroup) =
    let entries = group.Entries
    let id = group.GroupId
    let gate = obj ()
    let mutable seen = 0L
    let committing = entries.OnCommit

    let look () =
        lock gate (fun () ->
            seen <- max seen (entries.Bounds.First - 1L)
            let fresh = entries.ReadCommitted(seen + 1L, Int64.MaxValue)

            let contents = [ for stored in fresh -> { Term = stored.Term; Hash = hashOf stored.Payload } ]

            evidence.Committed(node, id, seen + 1L, contents, entries.Term)
            seen <- seen + int64 contents.Length)

    evidence.Opened(node, id, read entries)

    entries.OnCommit <-
        (fun () ->
            look ()
            committing |> Option.ofObj |> Option.iter _.Invoke())

/// Watches what nodes say to each other.
type Listener(evidence: Evidence, logOf: int64 -> int64 -> EntryLog option) =
    let leads node group term =
        if evidence.Leads(node, group, term) then
            // First what is due: more may be committed while the log is read.
            let due = evidence.Due(group, term)
            logOf node group |> Option.iter (fun entries -> evidence.LeaderHas(node, group, term, due, read entries))

    interface Weather.Traffic with
        member _.Arrives(from, _, group, method, request) =
            match method with
            | PeerMethod.Append ->
                let append = RaftMessages.DecodeAppend request
                leads from group append.Term
                evidence.Sent(from, group, append)
            | PeerMethod.InstallSnapshot -> leads from group (RaftMessages.DecodeSnapshot request).Term
            | _ -> ()

        member _.Answered(_, target, group, method, request, reply) =
            if method = PeerMethod.Append then
                let append = RaftMessages.DecodeAppend request
                let answer = RaftMessages.DecodeAppendReply reply

                match answer.Result with
                | HeartbeatResult.Replicated
                | HeartbeatResult.ReplicatedWithLeaderTerm ->
                    let count = append.Entries.Length
                    let term = if count = 0 then append.PreviousTerm else append.Entries[count - 1].Term
                    evidence.Acknowledged(target, group, append.PreviousIndex + int64 count, term)
                | _ -> ()
