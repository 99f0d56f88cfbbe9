/// The commands against a node as users have it, started by the command itself within this process.
module NodeTests

open System
open System.IO
open System.Net.Http
open System.Text.RegularExpressions
open System.Threading
open System.Threading.Tasks
open Expecto
open FsCheck.FSharp
open Regatta.Cli
open Regatta.Testing
open Launched

/// Standard error that tells when a text has been written.
type private Complaint(awaited: string) =
    inherit StringWriter()
    let seen = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    member _.Seen: Task = seen.Task

    override this.Write(text: string) =
        base.Write text

        if this.ToString().Contains(awaited, StringComparison.Ordinal) then seen.TrySetResult() |> ignore

    override this.WriteLine(text: string) =
        this.Write text
        base.WriteLine()

/// A node for one test, stopped cleanly at its end.
let private withNode (body: FakeSite.Site -> Task<unit>) =
    inDirectory (fun directory ->
        task {
            let! node = dev directory
            do! body node.Site
            let! stopped = node.Stop()
            Expect.equal stopped (ExitCode.Ok, "") "a clean stop"
        })

let private damaged =
    testCaseTask "a node with a table that cannot be opened says so, and never that it is ready" (fun () ->
        inDirectory (fun directory ->
            task {
                let! first = dev directory
                let! stopped = first.Stop()
                Expect.equal stopped (ExitCode.Ok, "") "a clean stop"
                let table = Directory.GetDirectories(Path.Combine(directory, "site-0", "node-1", "tables"), "1000?") |> Array.exactlyOne
                File.Delete(Path.Combine(table, "FLUSHED"))
                use output = new MemoryStream()
                use errors = new Complaint("not ready: ")
                use interrupt = new CancellationTokenSource()
                let arguments = [| "dev"; "--nodes"; "1"; "--base-port"; "0"; "--data-dir"; directory; "--log-level"; "ERROR" |]
                let running = CommandLine.RunAsync(arguments, Run.surroundings Run.plain output errors, interrupt.Token)
                let! _ = Task.WhenAny(running :> Task, errors.Seen).WaitAsync patience
                do! interrupt.CancelAsync()
                let! code = running
                Expect.equal code ExitCode.Ok "a clean stop"
                Expect.stringContains (errors.ToString()) "FLUSHED" "the file is named"
                Expect.isFalse ((Bytes.toText (output.ToArray())).Contains("ready\n", StringComparison.Ordinal)) "ready was not said"
            }))

let private leader =
    testCaseTask "regatta leader runs a node from file, environment and flags, and stops cleanly" (fun () ->
        inDirectory (fun directory ->
            task {
                let file = Path.Combine(directory, "node.yaml")

                File.WriteAllText(
                    file,
                    "api.address: http://127.0.0.1:0\nrest: {address: 'http://127.0.0.1:0'}\nreplication.address: http://127.0.0.1:0\nraft.address: 127.0.0.1:0\n"
                    + "tables.names: [policies, flags]\nmemberlist.node-name: from-file\nlog-level: INFO\n"
                )

                let data = Path.Combine(directory, "data")
                let! node = launch [ "REGATTA_LOG_LEVEL", "ERROR" ] [ "leader"; "--config"; file; "--data-dir"; data ]
                let! tables = Run.at node.Site [ "table"; "list"; "-o"; "jsonl" ]
                Expect.equal tables.Code ExitCode.Ok tables.Errors
                Expect.equal (Regex.Matches(tables.Output, "\"name\":\"(flags|policies)\"").Count) 2 "the file's tables"
                let! members = Run.at node.Site [ "cluster"; "members"; "-o"; "simple" ]
                Expect.stringStarts members.Output "from-file\t1\t" "the file's name"
                let! level = Run.at node.Site [ "cluster"; "status"; "--config"; "-o"; "simple" ]
                Expect.stringContains level.Output "log-level\tERROR\n" "the environment's level"
                // The data directory is one node's alone.
                let! second =
                    Run.regatta
                        [ "leader"
                          "--data-dir"
                          data
                          "--api.address"
                          "http://127.0.0.1:0"
                          "--rest.address"
                          "http://127.0.0.1:0"
                          "--replication.address"
                          "http://127.0.0.1:0"
                          "--log-level"
                          "ERROR" ]

                Expect.equal second.Code ExitCode.Failed "a second node"
                Expect.stringStarts second.Errors "regatta: the node cannot start: " "why"
                Expect.stringContains second.Errors "in use" "why"
                // So is its port.
                let elsewhere = Path.Combine(directory, "elsewhere")

                let! third =
                    Run.regatta
                        [ "leader"
                          "--data-dir"
                          elsewhere
                          "--api.address"
                          "http://" + node.Site.Endpoint
                          "--rest.address"
                          "http://127.0.0.1:0"
                          "--replication.address"
                          "http://127.0.0.1:0"
                          "--log-level"
                          "ERROR" ]

                Expect.equal third.Code ExitCode.Failed "a third node"
                Expect.stringContains third.Errors $"api.address: cannot listen on http://{node.Site.Endpoint}" "why"
                let! stopped = node.Stop()
                Expect.equal stopped (ExitCode.Ok, "") "a clean stop"
            }))

let private transactions =
    testCaseTask "kv txn prints the branch that ran and what it gave, in every format" (fun () ->
        withNode (fun site ->
            task {
                let txn arguments (lines: string list) =
                    Run.atWithInput site (Bytes.ofText (String.concat "\n" lines)) ([ "kv"; "txn" ] @ arguments)

                let! example = txn [] [ KvTxnCommand.Example ]
                expectOutput [ "FAILURE"; "revision 1" ] example
                let! created = txn [] [ "missing(\"lock\")"; ""; "put lock \"node 7\""; "put \"\\xff\" two"; "get lock"; ""; "get lock" ]
                expectOutput [ "SUCCESS"; "revision 2"; "put"; "put"; "lock\tnode 7" ] created

                let! refused =
                    txn
                        [ "-o"; "json" ]
                        [ "missing(\"lock\")"; ""; "put lock x"; ""; "get lock"; "get lock --keys-only"; "get '' a --count-only" ]

                Expect.equal refused.Code ExitCode.Failed "an empty key is the node's to refuse"
                let pair = "{\"key\":\"lock\",\"value\":\"node 7\",\"create_revision\":2,\"mod_revision\":2,\"version\":1}"

                let! failure =
                    txn
                        [ "-o"; "json" ]
                        [ "missing(\"lock\")"
                          ""
                          "put lock x"
                          ""
                          "get lock"
                          "get lock --keys-only"
                          "get a z --count-only"
                          "put lock 2 --prev-kv"
                          "del lock --prev-kv" ]

                expectOutput
                    [ "{\"revision\":3,\"succeeded\":false,\"responses\":["
                      + $"{{\"range\":{{\"count\":1,\"more\":false,\"kvs\":[{pair}]}}}},"
                      + "{\"range\":{\"count\":1,\"more\":false,\"kvs\":[{\"key\":\"lock\",\"create_revision\":2,\"mod_revision\":2,\"version\":1}]}},"
                      + "{\"range\":{\"count\":1,\"more\":false}},"
                      + $"{{\"put\":{{\"prev_kv\":{pair}}}}},"
                      + "{\"delete_range\":{\"deleted\":1,\"prev_kvs\":[{\"key\":\"lock\",\"value\":\"2\",\"create_revision\":2,\"mod_revision\":3,\"version\":2}]}}]}" ]
                    failure

                let! table = txn [ "-o"; "table" ] [ "exists(\"\\xff\")"; ""; "get \"\\xff\""; "del nothing --count"; "del nothing" ]

                expectOutput
                    [ "SUCCESS"
                      "revision 4"
                      "KEY    CREATED   MODIFIED   VERSION   VALUE"
                      "\\xff   2         2          1         two"
                      "deleted 0"
                      "deleted" ]
                    table
            }))

let private site =
    testCaseTask "A node of a site of one tells what it holds and that it leads" (fun () ->
        withNode (fun site ->
            task {
                let! _ = Run.at site [ "kv"; "put"; "a"; "1" ]
                let! moved = Run.at site [ "cluster"; "move-leader"; "--to"; "1" ]
                expectOutput [ "table default"; "leader 1" ] moved
                let! newest = Run.at site [ "table"; "hash"; "-o"; "simple" ]
                Expect.equal (newest.Code, newest.Errors) (ExitCode.Ok, "") "of the newest revision"
                Expect.isTrue (Regex.IsMatch(newest.Output, "^1\t1\t[0-9a-f]{32}\t[0-9a-f]{32}\n$")) newest.Output
                let! future = Run.at site [ "table"; "hash"; "--revision"; "2"; "--timeout"; "200ms" ]
                Expect.equal future.Code ExitCode.Unreachable "a revision that does not come in time"
                let! stranger = Run.at site [ "cluster"; "move-leader"; "--to"; "2" ]
                Expect.equal stranger.Code ExitCode.Failed "no such node"
                Expect.equal stranger.Errors "regatta: node_id 2 is no node of this site, which has 1\n" "why"
            }))

let private roundTrip =
    testCaseTask "What load writes, a node pages out again in dump, byte for byte, over many pages" (fun () ->
        withNode (fun site ->
            inDirectory (fun directory ->
                task {
                    let big = String('v', 600_000)

                    let nasty =
                        Gen.sampleWithSeed (FsCheck.Rnd(uint64 Seed.current)) 20 (Scale.pick 100 2000) (Gen.zip Bytes.nasty Bytes.nasty)

                    use! memory = FakeSite.start ()

                    // The fake site's dump is the input: it holds the same pairs, each key once and in order.
                    for key, value in nasty do
                        if key.Length > 0 then
                            memory.State.Put(Google.Protobuf.ByteString.CopyFrom key, Google.Protobuf.ByteString.CopyFrom value)
                            |> ignore

                    for i in 1..20 do
                        memory.State.Put(Google.Protobuf.ByteString.CopyFromUtf8 $"big/{i}", Google.Protobuf.ByteString.CopyFromUtf8 big)
                        |> ignore

                    let input = Path.Combine(directory, "input.jsonl")
                    let output = Path.Combine(directory, "output.jsonl")
                    let! _ = Run.at memory [ "kv"; "dump"; input ]
                    let! loaded = Run.at site [ "kv"; "load"; input; "--timeout"; "30s" ]

                    Expect.equal
                        (loaded.Code, loaded.Output)
                        (ExitCode.Ok, $"written {memory.State.Keys.Count}\nfailed 0\n")
                        $"{loaded.Errors}, seed {Seed.current}"

                    let! dumped = Run.at site [ "kv"; "dump"; output ]
                    Expect.equal dumped.Code ExitCode.Ok dumped.Errors
                    Expect.equal (File.ReadAllBytes output) (File.ReadAllBytes input) $"the bytes, seed {Seed.current}"
                    let! counted = Run.at site [ "kv"; "range"; "--prefix"; "big/"; "--count-only" ]
                    expectOutput [ "20" ] counted
                })))

let private refusals =
    testCaseTask "What a node refuses comes with its own words and exit code 1, and what is not there with 3" (fun () ->
        withNode (fun site ->
            task {
                let expectRefused (part: string) arguments =
                    task {
                        let! result = Run.at site arguments
                        Expect.equal result.Code ExitCode.Failed $"%A{arguments}"
                        Expect.stringContains result.Errors part $"%A{arguments}"
                    }

                do! expectRefused "table not found\n  see `regatta table list`" [ "kv"; "put"; "-t"; "nope"; "a"; "b" ]
                do! expectRefused "key length exceeded max allowed value" [ "kv"; "put"; String('k', 1025); "b" ]
                do! expectRefused "limit must be a positive number" [ "kv"; "range"; "--all"; "--limit"; "-1" ]
                do! expectRefused "table already exists" [ "table"; "create"; "default" ]
                do! expectRefused "table name must be" [ "table"; "create"; "a/b" ]
                do! expectRefused "table not found" [ "table"; "delete"; "nope" ]
                let! big = Run.atWithInput site (Array.zeroCreate (2 * 1024 * 1024 + 1)) [ "kv"; "put"; "a"; "-" ]
                Expect.equal big.Code ExitCode.Failed "a value beyond the limit"
                Expect.stringContains big.Errors "value length exceeded max allowed value" "why"
                let! huge = Run.atWithInput site (Array.zeroCreate (8 * 1024 * 1024)) [ "kv"; "put"; "a"; "-" ]
                Expect.equal huge.Code ExitCode.Failed $"a request beyond the limit: {huge.Errors}"
                Expect.stringContains huge.Errors "send less in one request" "what to do"
                let! missing = Run.at site [ "kv"; "get"; "a" ]
                Expect.equal missing.Code ExitCode.NotFound "a missing key"
                let! future = Run.at site [ "kv"; "get"; "a"; "--min-revision"; "1000"; "--timeout"; "200ms" ]
                Expect.equal future.Code ExitCode.Unreachable "a revision that does not come in time"
            }))

/// A terminal at which nobody types: reads do not return.
type private SilentInput(reading: TaskCompletionSource) =
    inherit MemoryStream()
    let forever = new ManualResetEventSlim()

    override _.Read(_: byte array, _: int, _: int) =
        reading.TrySetResult() |> ignore
        forever.Wait()
        0

    override _.Dispose(disposing) =
        forever.Set()
        base.Dispose disposing

let private interruption =
    testCaseTask "A command that waits for input ends when it is interrupted, with exit code 130" (fun () ->
        task {
            let reading = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
            use silent = new SilentInput(reading)
            use interrupt = new CancellationTokenSource()
            use output = new MemoryStream()
            use errors = new StringWriter()
            let waiting = Run.surroundingsWith (new InterruptibleInput(silent)) Run.plain output errors
            let running = CommandLine.RunAsync([| "kv"; "put"; "a"; "-" |], waiting, interrupt.Token)
            do! reading.Task
            do! interrupt.CancelAsync()
            let! code = running
            Expect.equal code ExitCode.Interrupted (errors.ToString())
            Expect.stringContains (errors.ToString()) "interrupted" "what it says"
        })

let all = testList "node" [ damaged; leader; transactions; site; roundTrip; refusals; interruption ]
