module Regatta.Integration.Tests.CorruptionTests

open System
open System.Collections.Generic
open System.IO
open System.Text
open Expecto
open Grpc.Core
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 16; KeysPerWorker = 8; MaxValueBytes = 3000 }
let private patience = TimeSpan.FromSeconds 120.0

/// The files of a stopped node that hold what clients wrote.
type private Kind =
    /// The write-ahead log of the Raft log: read whole at every open.
    | LogTail
    /// The tables of the Raft log; entries that were cut from it may still be in them and are not read again.
    | LogTable
    /// A table's keys and values: read whole by a dump.
    | DataTable
    /// A table's changelog and its applied state: no call reads all of the former, and of the latter only what is newest.
    | OtherTable

let private nameOf (path: string) =
    match Path.GetFileName path with
    | null -> ""
    | name -> name

/// Where a text begins in a file; -1 if it does not occur.
let private find (path: string) (text: string) = File.ReadAllBytes(path).AsSpan().IndexOf(ReadOnlySpan(Encoding.ASCII.GetBytes text))

/// A RocksDB table names its column family among its properties (keys and values are in the default one); a property's name is cut by what it has in
/// common with the one before.
let private kind data (path: string) =
    let inLog = Path.GetRelativePath(data, path).StartsWith("log/", StringComparison.Ordinal)

    match Path.GetExtension path with
    | ".log" when inLog -> Some LogTail
    | ".sst" when inLog -> Some LogTable
    | ".sst" when find path "namedefault" >= 0 -> Some DataTable
    | ".sst" -> Some OtherTable
    | _ -> None

let private files data =
    Directory.EnumerateFiles(data, "*", SearchOption.AllDirectories)
    |> Seq.filter (fun path -> FileInfo(path).Length > 0L)
    |> Seq.sort
    |> Seq.choose (fun path -> kind data path |> Option.map (fun kind -> kind, path))
    |> List.ofSeq

let private flip (path: string) offset =
    use file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite)
    file.Seek(offset, SeekOrigin.Begin) |> ignore
    let old = file.ReadByte()
    file.Seek(offset, SeekOrigin.Begin) |> ignore
    file.WriteByte(byte old ^^^ 0xFFuy)

/// Bytes of the blocks that hold a RocksDB table's entries, from its properties: they are at the file's beginning.
let private entryBytes (path: string) =
    let property = "data.size"
    let bytes = File.ReadAllBytes path
    let mutable at = find path property + property.Length
    let mutable size, shift = 0L, 0

    while bytes[at] >= 0x80uy do
        size <- size ||| (int64 (bytes[at] &&& 0x7Fuy) <<< shift)
        shift <- shift + 7
        at <- at + 1

    size ||| (int64 bytes[at] <<< shift)

/// Where to flip: anywhere in a log; in a table, where its entries are, and not in the filters, indexes and properties behind them.
let private place (draw: Random) kind (path: string) =
    match kind with
    | LogTail -> draw.NextInt64(FileInfo(path).Length)
    | LogTable
    | DataTable
    | OtherTable -> draw.NextInt64(entryBytes path)

type private Finding =
    | RefusedToStart of said: string
    | ReadFailed of said: string
    | ReadAll of TableState

/// A node without one of its tables goes on with the others, and says so.
let private gaveUpATable (readiness: string) = readiness.Contains("cannot be opened", StringComparison.Ordinal)

let private findOut start (client: Client) =
    task {
        use node = NodeProcess.Start start
        let! settled = node.Settled gaveUpATable

        if settled = Ended then
            return RefusedToStart node.Output
        else
            try
                let! state = client.Dump()
                return ReadAll state
            with :? RpcException as error ->
                return ReadFailed error.Status.Detail
    }

/// Three sessions of writing, so that there are log tables, table files and, from the last session, a log tail; returns the state that was
/// acknowledged.
let private prepare data ports =
    task {
        let workload = Workload(Seed.current, size)
        let start = Launch.leader data ports []
        let mutable state = TableState.empty

        for session in 1..3 do
            use! node = Rounds.ready start
            use client = Rounds.client ports
            let! before = Rounds.verify $"session {session}" node client workload state []
            let running = workload.Start(client, before.State, 2000)
            do! running.Loaded
            running.Stop()
            let! calls = running.Finished
            let! round = Rounds.verify $"the end of session {session}" node client workload before.State calls
            state <- round.State
            let! code = node.Terminate(TimeSpan.FromSeconds 120.0)
            Expect.equal code 0 "the exit code of a clean stop"

        return state
    }

type private Verdict =
    | NoticedAtOpen
    | NoticedByRead
    /// All data is right, and what was damaged is not needed for it.
    | Unread

let private judge kind (victim: string) expected finding =
    let named (said: string) verdict =
        if said.Contains(nameOf victim, StringComparison.Ordinal) then Ok verdict else Error $"the file is not named: {said}"

    match finding with
    | RefusedToStart said -> named said NoticedAtOpen
    | ReadFailed said -> named said NoticedByRead
    | ReadAll state when state <> expected -> Error "wrong data was served"
    | ReadAll _ when kind = OtherTable || kind = LogTable -> Ok Unread
    | ReadAll _ -> Error "nobody noticed"

/// One flipped byte in a copy of a stopped node's directory, and what the node makes of it.
let private flipOne (scratch: Scratch) (ports: Ports) expected pristine kind (victim: string) offset =
    task {
        let copy = scratch.Sub "copy"
        Machine.must "cp" [ "-a"; pristine; copy ] |> ignore
        let name = Path.GetRelativePath(pristine, victim)
        flip (Path.Combine(copy, name)) offset
        use client = Rounds.client ports
        let! finding = findOut (Launch.leader copy ports []) client
        Directory.Delete(copy, true)

        return
            judge kind victim expected finding
            |> Result.mapError (fun complaint -> $"{name}, byte {offset} of the %A{kind}: {complaint}")
    }

let private neverServed =
    Case.ofTask
        "a flipped byte in a log or table file is refused at open or at the first read, by the file's name; wrong data is never served"
        (fun () ->
            task {
                use scratch = new Scratch()
                use ports = Ports.Take()
                let draw = Random Seed.current
                let pristine = scratch.Sub "pristine"
                let! expected = prepare pristine ports
                let victims = files pristine
                let verdicts = List<Result<Verdict, string>>()

                for kind in [ LogTail; LogTable; DataTable; OtherTable ] do
                    let candidates = victims |> List.filter (fun (other, _) -> other = kind) |> List.map snd
                    Expect.isNonEmpty candidates $"files of the kind %A{kind} among %A{victims}"

                    for _ in 1 .. Scale.pick 2 25 do
                        let victim = candidates[draw.Next candidates.Length]
                        let! verdict = flipOne scratch ports expected pristine kind victim (place draw kind victim)
                        verdicts.Add verdict

                let complaints =
                    verdicts
                    |> Seq.choose (fun verdict ->
                        match verdict with
                        | Error complaint -> Some complaint
                        | Ok _ -> None)

                if not (Seq.isEmpty complaints) then
                    failtest (String.Join(Environment.NewLine, Seq.append [ $"seed {Seed.current}" ] complaints))

                let count verdict = verdicts |> Seq.filter ((=) (Ok verdict)) |> Seq.length

                Report.fact
                    $"flipped bytes: {verdicts.Count}, of which {count NoticedAtOpen} refused at open and {count NoticedByRead} at the first read, by the file's name; {count Unread} in cut log entries and changelogs, with all data right; wrong data 0 times"
            })

let tests = testList "a file that was tampered with" [ neverServed ]
