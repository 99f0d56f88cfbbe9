/// What the nodes of a test have written down, held against the specification of their groups.
module Regatta.Testing.Tables.Traces

open System
open System.Collections.Generic
open System.IO
open Expecto
open Regatta.Spec

/// So many events before a mismatch are shown.
let private shown = 40

/// 0: none.
let private groupOf (act: RaftTrace.Act) =
    match act with
    | RaftTrace.Opened(group, _, _)
    | RaftTrace.Wrote(group, _)
    | RaftTrace.Won(group, _)
    | RaftTrace.Matched(group, _, _)
    | RaftTrace.Counted(group, _, _, _)
    | RaftTrace.Committed(group, _)
    | RaftTrace.Applied(group, _, _, _) -> group
    | RaftTrace.Began _
    | RaftTrace.Taken _
    | RaftTrace.Synced _ -> 0L

/// Remembers what came last of each group, and of nodes as wholes.
type private Latest() =
    let latest = Dictionary<int64, Queue<RaftTrace.Event>>()

    member _.Seen(event: RaftTrace.Event) =
        let group = groupOf event.Act

        if not (latest.ContainsKey group) then latest[group] <- Queue()

        latest[group].Enqueue event
        if latest[group].Count > shown then latest[group].Dequeue() |> ignore
        event

    member _.Before(event: RaftTrace.Event) =
        [ 0L; groupOf event.Act ]
        |> List.distinct
        |> List.collect (fun group ->
            match latest.TryGetValue group with
            | true, events -> List.ofSeq events
            | _ -> [])
        |> List.sortBy _.Time

/// What led to an event, one line each: when nodes began, and what all of them wrote down of its group up to it.
let history (at: RaftTrace.Event) (events: RaftTrace.Event seq) =
    let isOfIt (event: RaftTrace.Event) =
        groupOf event.Act = groupOf at.Act
        || (match event.Act with
            | RaftTrace.Began _ -> true
            | _ -> false)

    seq {
        yield! events |> Seq.takeWhile ((<>) at) |> Seq.filter isOfIt
        at
    }
    |> Seq.map (fun event -> $"%d{event.Time} node %d{event.Node}: %0A{event.Act}")

/// Fails at the first event that the specification does not have; what was seen, if there is none.
let verify (events: RaftTrace.Event seq) =
    let latest = Latest()

    match RaftTraceCheck.check (Seq.map latest.Seen events) with
    | Ok figures -> figures
    | Error mismatch ->
        let lines = latest.Before mismatch.Event |> List.map (fun event -> $"  %d{event.Node}: %A{event.Act}")

        failtestf
            "node %d did what the specification does not allow, %A: %A, after%s%s"
            mismatch.Event.Node
            mismatch.Reason
            mismatch.Event.Act
            Environment.NewLine
            (String.concat Environment.NewLine lines)

let text (seen: RaftTraceCheck.Figures) =
    $"traces: {seen.Events} events of {seen.Groups} groups, {seen.Elections} elections, {seen.Committed} entries committed, {seen.Crashes} restarts, {seen.Wipes} lost disks; all as the specification has it"

/// Fails at the first state that a follower site shows and its leader site never had, or that is older than one before; how many there were, if there is none.
let verifyFollower (leader: RaftTrace.Event seq) (follower: RaftTrace.Event seq) =
    match FollowerTraceCheck.check leader follower with
    | Ok count -> count
    | Error(event, reason) ->
        failtestf "node %d of the follower site did what the specification does not allow, %A: %A" event.Node reason event.Act

let private endsWhole (path: string) =
    use file = File.OpenRead path

    file.Length > 0L
    && (file.Seek(-1L, SeekOrigin.End) |> ignore
        file.ReadByte() = int '\n')

/// The whole lines of a file. A process that is killed may have begun one, and nobody has seen then what it was to tell.
let private wholeLines (path: string) =
    let lines = File.ReadLines path
    if endsWhole path then lines else lines |> Seq.pairwise |> Seq.map fst

/// All traces of a directory, in the order of time.
let read (directory: string) =
    let lines path = wholeLines path |> Seq.map RaftTrace.Line.parse
    Directory.GetFiles(directory, "*.trace") |> List.ofArray |> List.map lines |> RaftTrace.merge
