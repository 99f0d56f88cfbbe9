module Regatta.Integration.Tests.CorruptionTests

open System
open System.IO
open System.Text
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Testing

let private size = { Workers = 16; KeysPerWorker = 8; MaxValueBytes = 3000 }
let private patience = TimeSpan.FromSeconds 120.0

/// The files of a stopped node that hold what clients wrote.
type private Kind =
    /// The Raft log's write-ahead log.
    | LogTail
    /// The Raft log's tables.
    | LogTable
    /// A table's keys and values.
    | DataTable
    /// A table's changelog or its applied state: no call reads all of the former.
    | OtherTable

let private nameOf (path: string) =
    match Path.GetFileName path with
    | null -> ""
    | name -> name

let private contains (path: string) (text: string) =
    File.ReadAllBytes(path).AsSpan().IndexOf(ReadOnlySpan(Encoding.ASCII.GetBytes text)) >= 0

/// A RocksDB table names its column family among its properties; the common prefix of their names is not repeated.
let private kind data (path: string) =
    let inLog = Path.GetRelativePath(data, path).StartsWith("log/", StringComparison.Ordinal)

    match Path.GetExtension path with
    | ".log" when inLog -> Some LogTail
    | ".sst" when inLog -> Some LogTable
    | ".sst" when contains path "namedata" -> Some DataTable
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

/// Where to flip: anywhere in a log; in a table, where its entries are and not in the filters and indexes behind them.
let private place (draw: Random) kind (path: string) =
    let length = FileInfo(path).Length

    match kind with
    | LogTail -> draw.NextInt64 length
    | LogTable
    | DataTable
    | OtherTable -> draw.NextInt64(max 1L (length * 6L / 10L))

type private Finding =
    | RefusedToStart of said: string
    | ReadFailed of said: string
    | ReadAll of TableState

let private findOut start (client: Client) =
    task {
        use node = NodeProcess.Start start

        let! started =
            task {
                try
                    do! node.Ready()
                    return true
                with :? AssertException when node.HasExited ->
                    return false
            }

        if not started then
            return RefusedToStart node.Output
        else
            try
                let! state = client.Dump()
                return ReadAll state
            with :? RpcException as error ->
                return ReadFailed(error.Status.Detail + node.Output)
    }

/// Writes, restarts and writes again, so that there are log tables, table files and a log tail; returns the state that was acknowledged.
let private prepare data ports =
    task {
        let workload = Workload(Seed.current, size)
        let start = Launch.leader data ports []
        let mutable state = TableState.empty
        let mutable operations = []

        for session in 1..3 do
            use! node = Launch.ready start
            use client = Launch.client ports
            let! round = Launch.verify $"session {session}" node client workload state operations
            state <- round.State

            if session < 3 then
                let running = workload.Start(client, state, 3000)
                do! running.Loaded
                running.Stop()
                let! calls = running.Finished
                operations <- calls
            else
                // The last writes are in the log's tail only.
                let! _ = client.Put("last", "write")
                let! found = client.Dump()
                state <- found

            let! code = node.Terminate(TimeSpan.FromSeconds 10.0)
            Expect.equal code 0 "the exit code of a clean stop"

        return state
    }

let private neverServed =
    Case.ofTask
        "a flipped byte in a log or table file is refused at open or at the first read, by the file's name; wrong data is never served"
        (fun () ->
            task {
                use scratch = new Scratch()
                use ports = Ports.Take()
                use client = Launch.client ports
                let draw = Random Seed.current
                let pristine = scratch.Sub "pristine"
                let! expected = prepare pristine ports
                let victims = files pristine
                let mutable refused = 0
                let mutable failedReads = 0
                let mutable harmless = 0

                for kind in [ LogTail; LogTable; DataTable; OtherTable ] do
                    let candidates = victims |> List.filter (fun (other, _) -> other = kind) |> List.map snd
                    Expect.isNonEmpty candidates $"files of the kind %A{kind} among %A{victims}"

                    for _ in 1 .. Scale.pick 2 25 do
                        let victim = candidates[draw.Next candidates.Length]
                        let offset = place draw kind victim
                        let copy = scratch.Sub "copy"
                        Machine.must "cp" [ "-a"; pristine; copy ] |> ignore
                        flip (Path.Combine(copy, Path.GetRelativePath(pristine, victim))) offset
                        let! finding = findOut (Launch.leader copy ports []) client
                        let case = $"%A{kind}, byte {offset} of {Path.GetRelativePath(pristine, victim)}, seed {Seed.current}"

                        match finding with
                        | RefusedToStart said ->
                            Expect.stringContains said (nameOf victim) $"{case}: the refusal names the file"
                            refused <- refused + 1
                        | ReadFailed said ->
                            Expect.stringContains said (nameOf victim) $"{case}: the error names the file"
                            failedReads <- failedReads + 1
                        | ReadAll state ->
                            Expect.equal state expected $"{case}: wrong data was served"
                            Expect.equal kind OtherTable $"{case}: nobody noticed"
                            harmless <- harmless + 1

                        Directory.Delete(copy, true)

                Report.fact
                    $"flipped bytes: {refused} refused at open, {failedReads} at the first read, each by the file's name; {harmless} in changelog files that no call reads yet; wrong data 0 times"
            })

let tests = testList "a file that was tampered with" [ neverServed ]
