module Regatta.Raft.Tests.TraceLines

open System
open System.Collections.Concurrent
open System.IO
open System.Text
open Regatta.Raft
open Regatta.Spec

/// Takes a line with each write.
type private Sink(lines: ConcurrentQueue<string>) =
    inherit MemoryStream()
    override _.Write(line: ReadOnlySpan<byte>) = lines.Enqueue(Encoding.ASCII.GetString(line).TrimEnd '\n')

/// What nodes in this process write down.
type TraceLines() =
    let lines = ConcurrentQueue<string>()
    member _.Of(node: int64, members: int) = new GroupTrace(node, members, new Sink(lines))

    /// In the order of time.
    member _.Events = lines.ToArray() |> Seq.map RaftTrace.Line.parse |> Seq.sortBy _.Time
