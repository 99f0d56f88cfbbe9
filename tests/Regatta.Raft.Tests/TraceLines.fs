module Regatta.Raft.Tests.TraceLines

open System.Collections.Concurrent
open System.IO
open Regatta.Raft
open Regatta.Spec

/// What nodes in this process write down.
type TraceLines() =
    let lines = ConcurrentQueue<string>()

    member _.Of(node: int64, members: int) =
        let writer =
            { new StringWriter() with
                override _.Write(text: string | null) = lines.Enqueue((nonNull text).TrimEnd '\n') }

        new GroupTrace(node, members, writer)

    /// In the order of time.
    member _.Events = lines.ToArray() |> Seq.map RaftTrace.Line.parse |> Seq.sortBy _.Time
