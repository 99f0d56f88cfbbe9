/// What running nodes have written down of what their groups did (src/Regatta.Raft/Tracing): events, and the lines that tell of them.
module Regatta.Spec.RaftTrace

open System
open System.Collections.Generic

/// What is put into a node's log database, in one order with all else that is.
type Step =
    | Put of index: int64 * term: int64 * sum: uint64
    | Delete of first: int64 * last: int64
    /// Vote 0: none. Entries up to the cut are not in the log any more.
    | Hard of term: int64 * vote: int64 * cut: int64 * cutTerm: int64

/// A log by its last entry.
[<Struct>]
type End = { Index: int64; Term: int64 }

/// A group's part of a log database.
type Kept = { Term: int64; Vote: int64; Cut: End; Log: End }

/// A table of one revision; the hash is of all its history.
[<Struct>]
type Shown = { Revision: int64; Chain: string }

type Act =
    /// `Crash`, or `Wipe` if nothing is left; the first one of a node is none of both. So many rounds are on disk.
    | Began of members: int64 * rounds: int64
    /// What was found of a group.
    | Opened of group: int64 * Kept * commit: int64
    /// `Stand`, `Vote`, `HearTerm`, `Propose`, `Receive`, `Install`, `ComeBack`, each by what it writes.
    | Wrote of group: int64 * Step list
    /// What was written before is one round,
    | Taken of round: int64
    /// and that is `Sync`.
    | Synced of round: int64
    /// `Win`.
    | Won of group: int64 * term: int64
    /// `Acknowledge`: said by the member,
    | Matched of group: int64 * term: int64 * index: int64
    /// and heard by the leader.
    | Counted of group: int64 * term: int64 * by: int64 * index: int64
    /// `Commit` on the leader of the entry's term, or what `Receive` and `Install` bring of it.
    | Committed of group: int64 * index: int64
    /// What the table is now, and what it was since the last time, as far as is known.
    | Applied of group: int64 * index: int64 * now: Shown * passed: Shown list

/// Time in nanoseconds, of one clock for all; lines of one life of a node are numbered from 1 on.
type Event = { Time: int64; Node: int64; Number: int64; Act: Act }

/// The lines as nodes write them.
module Line =
    let private number (text: string) = Int64.Parse(text, Globalization.CultureInfo.InvariantCulture)

    let rec private steps words =
        match words with
        | [] -> []
        | "put" :: index :: term :: sum :: rest ->
            Put(number index, number term, UInt64.Parse(sum, Globalization.CultureInfo.InvariantCulture)) :: steps rest
        | "delete" :: first :: last :: rest -> Delete(number first, number last) :: steps rest
        | "hard" :: term :: vote :: cut :: cutTerm :: rest -> Hard(number term, number vote, number cut, number cutTerm) :: steps rest
        | other -> raise (FormatException $"no step of a log: {other}")

    let rec private shown words =
        match words with
        | [] -> []
        | revision :: chain :: rest -> { Revision = number revision; Chain = chain } :: shown rest
        | other -> raise (FormatException $"no revision and chain hash: {other}")

    let private act what words =
        match what, words with
        | "wrote", group :: written -> Wrote(number group, steps written)
        | "applied", group :: index :: revision :: chain :: passed ->
            Applied(number group, number index, { Revision = number revision; Chain = chain }, shown passed)
        | _ ->
            match what, List.map number words with
            | "began", [ members; rounds ] -> Began(members, rounds)
            | "opened", [ group; term; vote; cut; cutTerm; last; lastTerm; commit ] ->
                let cut, log = { Index = cut; Term = cutTerm }, { Index = last; Term = lastTerm }
                Opened(group, { Term = term; Vote = vote; Cut = cut; Log = log }, commit)
            | "taken", [ round ] -> Taken round
            | "synced", [ round ] -> Synced round
            | "won", [ group; term ] -> Won(group, term)
            | "matched", [ group; term; index ] -> Matched(group, term, index)
            | "counted", [ group; term; by; index ] -> Counted(group, term, by, index)
            | "committed", [ group; index ] -> Committed(group, index)
            | _ -> raise (FormatException $"no event of a trace: {what}")

    /// Fails with a sentence if it is none.
    let parse (line: string) =
        try
            match List.ofArray (line.Split ' ') with
            | time :: node :: place :: what :: words ->
                { Time = number time; Node = number node; Number = number place; Act = act what words }
            | _ -> raise (FormatException "it is too short")
        with
        | :? FormatException
        | :? OverflowException as e -> failwith $"This is no line of a trace: {line}: {e.Message}"

/// What several lives of nodes have written down, each in its order, in the order of time.
let merge (lives: Event seq list) =
    seq {
        let waiting = PriorityQueue<IEnumerator<Event>, int64>()
        let await (life: IEnumerator<Event>) = if life.MoveNext() then waiting.Enqueue(life, life.Current.Time) else life.Dispose()

        for life in lives do
            await (life.GetEnumerator())

        while waiting.Count > 0 do
            let life = waiting.Dequeue()
            life.Current
            await life
    }
