/// What a site's nodes did, as seen at the seams, held against Raft's safety properties (Ongaro and Ousterhout, figure 3) while they do it.
module Regatta.Raft.Tests.Evidence

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Threading
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.LogPicture

/// A committed entry, and the lowest term in which a node is known to have held it for committed.
[<Struct>]
type private Committed = { Content: Content; Since: int64 }

type Figures = { Elections: int; Entries: int; Committed: int; Applied: int }

type Evidence() =
    let gate = Lock()
    let leaders = Dictionary<struct (int64 * int64), int64>()
    let entries = Dictionary<struct (int64 * int64 * int64), struct (uint64 * int64)>()
    let committed = Dictionary<int64, Dictionary<int64, Committed>>()
    let applied = Dictionary<struct (int64 * int64), AppliedState>()
    let chains = Dictionary<struct (int64 * int64), ChainHash>()
    let acknowledged = Dictionary<struct (int64 * int64), struct (int64 * int64)>()
    let found = ConcurrentQueue<string>()
    let violated (what: string) = found.Enqueue what

    let promised (node: int64) (group: int64) =
        match acknowledged.TryGetValue(struct (node, group)) with
        | true, known -> known
        | _ -> struct (0L, 0L)

    let committedOf (group: int64) =
        match committed.TryGetValue group with
        | true, known -> known
        | _ ->
            let known = Dictionary()
            committed[group] <- known
            known

    /// Log matching, by induction: same index and term is the same entry, behind an entry of the same term.
    let entry (group: int64) (index: int64) (content: Content) (previous: int64) (place: string) =
        let key = struct (group, index, content.Term)

        match entries.TryGetValue key with
        | true, struct (hash, term) when hash = content.Hash && term = previous -> ()
        | true, _ -> violated $"log matching: group {group}, entry {index} of term {content.Term} is not the same {place}"
        | _ -> entries[key] <- struct (content.Hash, previous)

    let whole (group: int64) (log: LogPicture) (place: string) =
        let mutable previous = log.CutTerm

        for position in 0 .. log.Contents.Length - 1 do
            let content = log.Contents[position]

            if content.Term < previous then
                violated $"group {group}: terms go down {place}, at entry {log.Cut + 1L + int64 position}"

            entry group (log.Cut + 1L + int64 position) content previous place
            previous <- content.Term

    member _.Violations = List.ofSeq found

    /// What others find.
    member _.Violated(what: string) = violated what

    /// A node speaks as the leader of a term. True: for the first time.
    member _.Leads(node: int64, group: int64, term: int64) =
        gate.Enter()

        try
            match leaders.TryGetValue(struct (group, term)) with
            | true, other ->
                if other <> node then violated $"election safety: nodes {other} and {node} both lead group {group} in term {term}"

                false
            | _ ->
                leaders[struct (group, term)] <- node
                true
        finally
            gate.Exit()

    /// Entries that a leader sent.
    member _.Sent(node: int64, group: int64, request: AppendRequest) =
        gate.Enter()

        try
            let mutable previous = request.PreviousTerm
            let mutable index = request.PreviousIndex

            for sent in request.Entries do
                index <- index + 1L

                let content = { Term = sent.Term; Hash = hashOf sent.Payload }

                entry group index content previous $"as sent by node {node}"
                previous <- content.Term
        finally
            gate.Exit()

    /// A follower has promised that it has everything up to here on disk.
    member _.Acknowledged(node: int64, group: int64, index: int64, term: int64) =
        gate.Enter()

        try
            let struct (knownIndex, knownTerm) = promised node group

            if struct (term, index) > struct (knownTerm, knownIndex) then acknowledged[struct (node, group)] <- struct (index, term)
        finally
            gate.Exit()

    /// The log of a node that has just started: what it had promised is there, unless a later leader took its place.
    member _.Opened(node: int64, group: int64, log: LogPicture) =
        gate.Enter()

        try
            whole group log $"on node {node} at its start"
            let struct (index, term) = promised node group

            let holds =
                match log.At index with
                | Some content -> content.Term = term
                | None -> index <= log.Cut

            if not holds && log.LastTerm <= term then
                violated
                    $"durability: node {node} acknowledged entry {index} of term {term} in group {group}, and its log ends at {log.Last} of term {log.LastTerm}"
        finally
            gate.Exit()

    member _.Log(node: int64, group: int64, log: LogPicture) =
        gate.Enter()

        try
            whole group log $"on node {node}"
        finally
            gate.Exit()

    /// Entries from `first` on that a node holds for committed, in its term.
    member _.Committed(node: int64, group: int64, first: int64, contents: Content list, term: int64) =
        gate.Enter()

        try
            let known = committedOf group

            contents
            |> List.iteri (fun position content ->
                let index = first + int64 position

                match known.TryGetValue index with
                | true, before when before.Content <> content ->
                    violated
                        $"group {group}: node {node} holds entry {index} of term {content.Term} for committed, others that of term {before.Content.Term}"
                | true, before -> known[index] <- { before with Since = min before.Since term }
                | _ -> known[index] <- { Content = content; Since = term })
        finally
            gate.Exit()

    /// What a leader of this term must have.
    member _.Due(group: int64, term: int64) =
        gate.Enter()

        try
            [| for pair in committedOf group do
                   if pair.Value.Since < term then struct (pair.Key, pair.Value.Content) |]
        finally
            gate.Exit()

    /// Leader completeness: the log of a leader against what was committed before its term.
    member evidence.LeaderHas(node: int64, group: int64, term: int64, due: struct (int64 * Content) array, log: LogPicture) =
        evidence.Log(node, group, log)

        for struct (index, content) in due do
            if index > log.Cut && log.At index <> Some content then
                violated
                    $"leader completeness: node {node} leads group {group} in term {term} without the committed entry {index} of term {content.Term}"

    /// State machine safety: the same index and the same revision is the same state on every node.
    member _.Applied(node: int64, group: int64, state: AppliedState) =
        gate.Enter()

        try
            match applied.TryGetValue(struct (group, state.Index)) with
            | true, other ->
                if other <> state then violated $"state machine safety: node {node} applied {state} in group {group}, others {other}"
            | _ -> applied[struct (group, state.Index)] <- state

            match chains.TryGetValue(struct (group, state.Revision)) with
            | true, chain ->
                if chain <> state.Chain then
                    violated $"state machine safety: node {node} has another history at revision {state.Revision} of group {group}"
            | _ -> chains[struct (group, state.Revision)] <- state.Chain
        finally
            gate.Exit()

    member _.Figures =
        gate.Enter()

        try
            { Elections = leaders.Count
              Entries = entries.Count
              Committed = Seq.sumBy (fun (known: Dictionary<int64, Committed>) -> known.Count) committed.Values
              Applied = applied.Count }
        finally
            gate.Exit()
