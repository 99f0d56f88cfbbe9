module Regatta.Raft.Tests.GroupTraceTests

open System
open System.IO
open System.Text
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Spec
open Regatta.Testing.Tables

/// A disk with room for so many bytes.
type private SmallDisk(room: int) =
    inherit MemoryStream()

    override disk.Write(line: ReadOnlySpan<byte>) =
        if int disk.Length + line.Length > room then raise (IOException "No space left on device")
        base.Write line

let private numbers (events: RaftTrace.Event seq) = events |> Seq.map _.Number |> List.ofSeq

let tests =
    testList
        "what a node writes down"
        [ testCase "ends for good where its disk is full, and the node goes on" (fun () ->
              let disk = new SmallDisk 60
              use trace = new GroupTrace(1L, 3, disk)
              trace.Began 0L
              trace.Taken(Int64.MaxValue)
              trace.Taken(Int64.MaxValue)
              trace.Synced 1L
              let lines = Encoding.ASCII.GetString(disk.ToArray()).TrimEnd('\n').Split '\n'
              Expect.equal (lines |> Seq.map RaftTrace.Line.parse |> numbers) [ 1L ] "whole lines, and none behind a gap")
          testCase "is read without the line that a kill has cut short" (fun () ->
              use directory = new TemporaryDirectory()
              let path = Path.Combine(directory.Path, "node-1-1.trace")

              for text, whole in
                  [ "1 1 1 began 3 0\n2 1 2 taken 1\n", [ 1L; 2L ]
                    "1 1 1 began 3 0\n2 1 2 taken 1", [ 1L ]
                    "1 1 1 began 3 0\n2 1", [ 1L ]
                    "1 1 1 beg", []
                    "", [] ] do
                  File.WriteAllText(path, text)
                  Expect.equal (numbers (Traces.read directory.Path)) whole $"of {text.Length} bytes")
          testCase "is told of one group, up to what is wrong, with the begin of each node" (fun () ->
              let lines =
                  [ "1 1 1 began 3 0"
                    "2 2 1 began 3 0"
                    "3 1 2 won 7 1"
                    "4 1 3 won 8 1"
                    "5 1 4 taken 1"
                    "6 2 2 committed 7 2"
                    "7 1 5 committed 7 3" ]
                  |> List.map RaftTrace.Line.parse

              Expect.equal
                  (List.ofSeq (Traces.history lines[5] lines))
                  [ "1 node 1: Began (3L, 0L)"; "2 node 2: Began (3L, 0L)"; "3 node 1: Won (7L, 1L)"; "6 node 2: Committed (7L, 2L)" ]
                  "of group 7")
          testCase "is a file for each life, read as one in the order of time" (fun () ->
              use directory = new TemporaryDirectory()

              for _ in 1..3 do
                  use trace = GroupTrace.Open(directory.Path, 2L, 3)
                  trace.Began 0L
                  trace.Taken 1L

              Expect.equal (numbers (Traces.read directory.Path)) [ 1L; 2L; 1L; 2L; 1L; 2L ] "three lives") ]
