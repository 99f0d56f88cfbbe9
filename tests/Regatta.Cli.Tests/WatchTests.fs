/// The client's watch, which goes on wherever it can, and `regatta kv watch`.
module WatchTests

open System
open System.Collections.Generic
open System.IO
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Cli
open Regatta.Client
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open FakeSite
open ClientCalls
open Launched

let private event revision key = WatchEvent(Kv = KeyValue(Key = bytes key, ModRevision = revision))
let private changes = [ [ event 1L "a" ]; [ event 2L "b"; event 2L "c"; event 2L "d" ]; []; [ event 4L "e" ] ]

let private everything =
    CreateWatch(Table = table, Key = ByteString.CopyFrom 0uy, RangeEnd = ByteString.CopyFrom 0uy, StartRevision = 1UL)

/// The keys that a watch brings until there are so many, or it ends.
let private keys (client: RegattaClient) (request: CreateWatch) count =
    task {
        let found = List<string>()
        let messages = client.Kv.WatchAsync(request, none).GetAsyncEnumerator()
        let mutable error = None

        while found.Count < count && error.IsNone do
            try
                let! more = messages.MoveNextAsync()
                Expect.isTrue more "a watch has no end"
                found.AddRange(messages.Current.Events |> Seq.map _.Kv.Key.ToStringUtf8())
            with :? RegattaException as e ->
                error <- Some e

        do! messages.DisposeAsync()
        return List.ofSeq found, error
    }

/// Speaks HTTP/2 as far as it must: it lets a call begin, takes no byte of its request (the window is empty) and closes the connection.
type private TakesNothing() =
    let listener = new TcpListener(IPAddress.Loopback, 0)
    do listener.Start()

    // Type 4, a setting: the window that a call begins with (4) is 0.
    let settings = [| 0uy; 0uy; 6uy; 4uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 4uy; 0uy; 0uy; 0uy; 0uy |]

    let rec untilACallBegins (stream: Stream) =
        task {
            let head = Array.zeroCreate 9
            do! stream.ReadExactlyAsync(head.AsMemory())
            let length = (int head[0] <<< 16) + (int head[1] <<< 8) + int head[2]
            do! stream.ReadExactlyAsync((Array.zeroCreate length).AsMemory())
            if head[3] <> 1uy then do! untilACallBegins stream
        }

    let serving =
        task {
            use! client = listener.AcceptSocketAsync()
            use stream = new NetworkStream(client)
            do! stream.WriteAsync(ReadOnlyMemory settings)
            let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            do! stream.ReadExactlyAsync((Array.zeroCreate preface.Length).AsMemory())
            do! untilACallBegins stream
        }

    member _.Endpoint = string listener.LocalEndpoint
    /// Completes when a call had begun.
    member _.Asked: Task = serving

    interface IDisposable with
        member _.Dispose() = listener.Stop()

/// Breaks once, before an event.
let private breaksBefore (key: string) (site: Site) =
    let mutable isBroken = false

    site.State.Fault <-
        fun call at ->
            if call = "Event" && Text.Encoding.UTF8.GetString at = key && not isBroken then
                isBroken <- true
                refuseWith StatusCode.Unavailable "the node is stopping"
            else
                Task.CompletedTask

let private client =
    testList
        "The client's watch"
        [ testCaseTask "goes on at the next node where it broke, in the middle of a revision, too, and in the same life" (fun () ->
              task {
                  for broken, position in [ "a", "1 0 7"; "b", "2 0 7"; "d", "2 2 7"; "e", "3 0 7" ] do
                      use! first = start ()
                      use! second = start ()
                      first.State.Changes <- changes
                      second.State.Changes <- changes
                      breaksBefore broken first
                      use client = connect patient [ first.Endpoint; second.Endpoint ]
                      let! found, error = keys client everything 5
                      Expect.equal (found, error) ([ "a"; "b"; "c"; "d"; "e" ], None) "every event once"
                      Expect.contains first.State.Calls "Watch 1 0 0" "as it was asked for"
                      Expect.contains second.State.Calls $"Watch {position}" "where it broke"
              })

          testCaseTask "goes on at the next node when the connection ends before it could be asked" (fun () ->
              task {
                  use! site = start ()
                  site.State.Changes <- changes
                  use closing = new TakesNothing()
                  use client = connect patient [ closing.Endpoint; site.Endpoint ]
                  let! found, error = keys client everything 5
                  Expect.equal (found, error) ([ "a"; "b"; "c"; "d"; "e" ], None) "every event once"
                  do! closing.Asked.WaitAsync patient
              })

          testCaseTask "goes on at the only node, as often as it breaks" (fun () ->
              task {
                  use! site = start ()
                  site.State.Changes <- changes
                  breaksBefore "c" site
                  use client = connect patient [ site.Endpoint ]
                  let! found, error = keys client everything 5
                  Expect.equal (found, error) ([ "a"; "b"; "c"; "d"; "e" ], None) "every event once"
              })

          testCaseTask "that begins now begins there when it is made again" (fun () ->
              task {
                  use! site = start ()
                  site.State.Changes <- List.truncate 3 changes
                  use client = connect patient [ site.Endpoint ]
                  let request = everything.Clone()
                  request.StartRevision <- 0UL
                  site.State.Ends <- WatchEnd(Code = int StatusCode.Unavailable, Reason = "the state was replaced")
                  let watching = keys client request 1

                  // It has begun at revision 4 when it is asked for again.
                  while site.State.Calls |> Seq.contains "Watch 4 0 7" |> not do
                      do! Task.Delay(TimeSpan.FromMilliseconds 5.0, TimeProvider.System)

                  site.State.Changes <- changes
                  let! found, _ = watching
                  Expect.equal found [ "e" ] "nothing of before"
              })

          testCaseTask "ends with the node's reason when it is refused" (fun () ->
              task {
                  use! site = start ()
                  site.State.Changes <- changes
                  site.State.Ends <- WatchEnd(Code = int StatusCode.OutOfRange, Reason = "not kept any more", OldestRevision = 9UL)
                  use client = connect patient [ site.Endpoint ]
                  let! found, error = keys client everything 6
                  Expect.hasLength found 5 "what came before"
                  let error = Option.get error
                  Expect.equal (error.Status, error.Message) (StatusCode.OutOfRange, "not kept any more") "the reason"
              })

          testCaseTask "fails when no node has ever answered" (fun () ->
              task {
                  use nobody = new Nobody()
                  use other = new Nobody()
                  use client = connect patient [ nobody.Endpoint; other.Endpoint ]
                  let! _, error = keys client everything 1
                  Expect.equal (error |> Option.map _.Kind) (Some FailureKind.Unreachable) "why"
              }) ]

/// Standard output that tells when it has so many lines.
type private Lines(count: int) =
    inherit MemoryStream()
    let reached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    member _.Reached = reached.Task

    override this.WriteAsync(buffer: ReadOnlyMemory<byte>, _: CancellationToken) =
        base.Write buffer.Span
        if (this.ToArray() |> Seq.filter ((=) 10uy) |> Seq.length) >= count then reached.TrySetResult() |> ignore
        ValueTask.CompletedTask

let private watched (site: Site) count (arguments: string list) =
    task {
        use output = new Lines(count)
        use errors = new StringWriter()
        use interrupt = new CancellationTokenSource()
        let setup = { Run.plain with Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ] }
        let running = CommandLine.RunAsync(Array.ofList arguments, Run.surroundings setup output errors, interrupt.Token)
        let! _ = Task.WhenAny(running :> Task, output.Reached).WaitAsync patience
        do! interrupt.CancelAsync()
        let! code = running
        Expect.equal (code, errors.ToString()) (ExitCode.Ok, "") "Ctrl-C is how a watch ends"
        return Bytes.toText (output.ToArray())
    }

let private notKept =
    testCaseTask "kv watch --prev-kv says which values are not kept any more" (fun () ->
        task {
            use! site = start ()
            let gone = KeyValue(Key = bytes "a", ModRevision = 7L)
            let now = KeyValue(Key = bytes "a", Value = bytes "new", ModRevision = 1L, CreateRevision = 1L, Version = 2L)
            site.State.Changes <- [ [ WatchEvent(Kv = now, PrevKv = gone) ] ]
            let! line = watched site 1 [ "kv"; "watch"; "a"; "--from-revision"; "1"; "--prev-kv" ]
            Expect.equal line (CommandOutput.lines [ "1\tPUT\ta\tnew\t(not kept)" ]) "a line"
            let! json = watched site 1 [ "kv"; "watch"; "a"; "--from-revision"; "1"; "--prev-kv"; "-o"; "jsonl" ]
            Expect.stringContains json "\"prev_kv\":{\"key\":\"a\",\"create_revision\":0,\"mod_revision\":7,\"version\":0}}" "no value"
        })

let private command =
    testList
        "kv watch"
        [ testCaseTask "prints every change as a line, from a revision on, until Ctrl-C" (fun () ->
              inDirectory (fun directory ->
                  task {
                      let! node = dev directory

                      for arguments in [ [ "put"; "a/1"; "one" ]; [ "put"; "b"; "other" ]; [ "put"; "a/1"; "t\two" ]; [ "del"; "a/1" ] ] do
                          let! _ = Run.at node.Site ([ "kv" ] @ arguments)
                          ()

                      let! simple = watched node.Site 3 [ "kv"; "watch"; "--prefix"; "a/"; "--from-revision"; "1" ]
                      Expect.equal simple (CommandOutput.lines [ "1\tPUT\ta/1\tone"; "3\tPUT\ta/1\tt\\two"; "4\tDELETE\ta/1" ]) "lines"
                      let! jsonl = watched node.Site 4 [ "kv"; "watch"; "--prefix"; ""; "--from-revision"; "1"; "-o"; "jsonl" ]

                      Expect.equal
                          (jsonl.Split('\n') |> Array.truncate 1 |> List.ofArray)
                          [ "{\"revision\":1,\"type\":\"put\",\"kv\":{\"key\":\"a/1\",\"value\":\"one\",\"create_revision\":1,\"mod_revision\":1,\"version\":1}}" ]
                          "an object each"

                      Expect.stringContains jsonl "{\"revision\":4,\"type\":\"delete\",\"kv\":{\"key\":\"a/1\"}}" "a delete"
                      let! previous = watched node.Site 3 [ "kv"; "watch"; "a/1"; "--from-revision"; "1"; "--prev-kv" ]

                      Expect.equal
                          previous
                          (CommandOutput.lines [ "1\tPUT\ta/1\tone"; "3\tPUT\ta/1\tt\\two\tone"; "4\tDELETE\ta/1\t\tt\\two" ])
                          "with what was replaced"

                      let! previous = watched node.Site 2 [ "kv"; "watch"; "a/1"; "--from-revision"; "3"; "--prev-kv"; "-o"; "jsonl" ]

                      Expect.stringContains
                          previous
                          "\"prev_kv\":{\"key\":\"a/1\",\"value\":\"one\",\"create_revision\":1,\"mod_revision\":1,\"version\":1}}"
                          "as an object"

                      let! json = Run.at node.Site [ "kv"; "watch"; "a"; "-o"; "json" ]
                      Expect.equal json.Code ExitCode.Usage "no document"
                      let! _ = node.Stop()
                      ()
                  })) ]

let all = testList "watching" [ client; command; notKept ]
