/// A log as it stands at one moment, entry by entry.
module Regatta.Raft.Tests.LogPicture

open System
open System.IO.Hashing
open System.Threading
open DotNext.Net.Cluster.Consensus.Raft
open DotNext.IO.Log
open Regatta.Raft

/// An entry without its index.
[<Struct>]
type Content = { Term: int64; Hash: uint64 }

let hashOf (payload: ReadOnlyMemory<byte>) = XxHash3.HashToUInt64 payload.Span

type LogPicture =
    {
        /// Entries up to this one are gone.
        Cut: int64
        CutTerm: int64
        Contents: Content array
    }

    member log.Last = log.Cut + int64 log.Contents.Length

    member log.LastTerm = if log.Contents.Length = 0 then log.CutTerm else log.Contents[log.Contents.Length - 1].Term

    /// None: cut, or not there.
    member log.At(index: int64) = if index <= log.Cut || index > log.Last then None else Some log.Contents[int (index - log.Cut - 1L)]

[<Struct>]
type private Part =
    | Gone of term: int64
    | Part of Content array

type private Reader() =
    interface ILogEntryConsumer<IRaftLogEntry, Part> with
        member _.ReadAsync<'entry, 'list when 'entry :> IRaftLogEntry and 'list :> System.Collections.Generic.IReadOnlyList<'entry>>
            (entries: 'list, snapshotIndex: Nullable<int64>, _: CancellationToken)
            =
            let content (entry: 'entry) =
                let mutable memory = ReadOnlyMemory<byte>()
                entry.TryGetMemory &memory |> ignore

                { Term = entry.Term; Hash = hashOf memory }

            System.Threading.Tasks.ValueTask<Part>(
                if snapshotIndex.HasValue then Gone entries[0].Term else Part [| for entry in entries -> content entry |]
            )

/// Reads a log that may be appended to, cut and truncated meanwhile: what is read was there, entry by entry.
let read (entries: EntryLog) =
    let reader = Reader()

    let part first last =
        try
            let read = entries.ReadAsync(reader, first, last, CancellationToken.None)
            Some(read.AsTask().GetAwaiter().GetResult())
        with :? ArgumentOutOfRangeException ->
            // It has just become shorter.
            None

    let rec whole () =
        let bounds = entries.Bounds
        let cut = bounds.First - 1L

        let cutTerm =
            if cut = 0L then
                Some 0L
            else
                match part cut cut with
                | Some(Gone term) when entries.Bounds.First = bounds.First -> Some term
                | _ -> None

        let rec contents first read =
            if first > bounds.Last then
                Some read
            else
                match part first bounds.Last with
                | Some(Part more) when more.Length > 0 -> contents (first + int64 more.Length) (read @ [ more ])
                | _ -> None

        match cutTerm, contents bounds.First [] with
        | Some term, Some parts -> { Cut = cut; CutTerm = term; Contents = Array.concat parts }
        | _ -> whole ()

    whole ()
