module ClientTests

open System
open System.Collections.Generic
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Client
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open FakeSite

/// Accepts connections and closes them as soon as something was sent: whatever the client sent, it will never know what became of it.
type private Slammer(reads: int) =
    let listener = new TcpListener(IPAddress.Loopback, 0)
    let stop = new CancellationTokenSource()

    let serve () =
        task {
            try
                while true do
                    use! connection = listener.AcceptTcpClientAsync stop.Token

                    for _ in 1..reads do
                        let! _ = connection.GetStream().ReadAsync(Memory(Array.zeroCreate<byte> 1024), stop.Token)
                        ()
            with :? OperationCanceledException ->
                ()
        }

    do listener.Start()
    let serving: Task = serve ()
    member _.Endpoint = string listener.LocalEndpoint

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! stop.CancelAsync()
                    do! serving
                    listener.Dispose()
                }
            )

let private endpointOf (text: string) =
    let mutable endpoint = null
    let mutable error = null
    if Endpoint.TryParse(text, &endpoint, &error) then nonNull endpoint else failtestf "%s is no endpoint" text

let private connect (timeout: TimeSpan) (endpoints: string list) =
    new RegattaClient(ClientOptions(Endpoints = [| for text in endpoints -> endpointOf text |], Timeout = timeout))

let private patient = TimeSpan.FromSeconds 30.0
let private impatient = TimeSpan.FromMilliseconds 300.0
let private table = ByteString.CopyFromUtf8 "default"
let private bytes (text: string) = ByteString.CopyFromUtf8 text
let private get key = RangeRequest(Table = table, Key = bytes key)
let private everything = RangeRequest(Table = table, Key = ByteString.CopyFrom 0uy, RangeEnd = ByteString.CopyFrom 0uy)
let private put key value = PutRequest(Table = table, Key = bytes key, Value = bytes value)
let private none = CancellationToken.None

let private failure (call: Task<'a>) =
    task {
        try
            let! _ = call
            return failtest "the call succeeded"
        with :? RegattaException as e ->
            return e
    }

let private collect (pages: IAsyncEnumerable<RangeResponse>) =
    task {
        let found = List<string>()
        let pages = pages.GetAsyncEnumerator()
        let mutable error = None
        let mutable go = true

        while go do
            try
                let! more = pages.MoveNextAsync()
                go <- more

                if more then
                    for pair in pages.Current.Kvs do
                        found.Add(pair.Key.ToStringUtf8())
            with :? RegattaException as e ->
                error <- Some e
                go <- false

        do! pages.DisposeAsync()
        return List.ofSeq found, error
    }

let private fill (site: Site) keys =
    for key: string in keys do
        site.State.Put(bytes key, bytes "v") |> ignore

let private failover =
    testList
        "With several endpoints"
        [ testCaseTask "reads and writes both pass over a node that nobody runs" (fun () ->
              task {
                  use nobody = new Nobody()
                  use! site = start ()

                  for call in [ "read"; "write" ] do
                      use client = connect patient [ nobody.Endpoint; site.Endpoint ]

                      if call = "read" then
                          let! _ = client.Kv.RangeAsync(get "a", none)
                          ()
                      else
                          let! _ = client.Kv.PutAsync(put "a" "1", none)
                          ()

                  Expect.sequenceEqual site.State.Calls [ "Range"; "Put" ] "both arrived"
              })

          testCaseTask "a read passes over a node that is unavailable, a write is not repeated elsewhere" (fun () ->
              task {
                  use! broken = start ()
                  use! site = start ()
                  broken.State.Fault <- fun _ _ -> refuseWith StatusCode.Unavailable "no leader"
                  use client = connect patient [ broken.Endpoint; site.Endpoint ]
                  let! _ = client.Kv.RangeAsync(get "a", none)
                  Expect.sequenceEqual site.State.Calls [ "Range" ] "the read went on"
                  use again = connect patient [ broken.Endpoint; site.Endpoint ]
                  let! e = failure (again.Kv.PutAsync(put "a" "1", none))
                  Expect.equal e.Kind FailureKind.OutcomeUnknown "kind"
                  Expect.stringContains e.Message "no leader" "the node's own words"
                  Expect.sequenceEqual site.State.Calls [ "Range" ] "the write did not go on"
              })

          // Cut after its first bytes or before: the library reports the one as UNAVAILABLE, the other as INTERNAL.
          for reads in [ 0; 1 ] do
              testCaseTask $"a write whose connection breaks after {reads} reads is not repeated, a read is" (fun () ->
                  task {
                      use slammer = new Slammer(reads)
                      use! site = start ()
                      use client = connect patient [ slammer.Endpoint; site.Endpoint ]
                      let! e = failure (client.Kv.PutAsync(put "a" "1", none))
                      Expect.equal e.Kind FailureKind.OutcomeUnknown "kind"
                      Expect.isEmpty site.State.Calls "nothing went on"
                      use again = connect patient [ slammer.Endpoint; site.Endpoint ]
                      let! _ = again.Kv.RangeAsync(get "a", none)
                      Expect.sequenceEqual site.State.Calls [ "Range" ] "the read went on"
                  })

          testCaseTask "a transaction that only reads counts as a read" (fun () ->
              task {
                  use slammer = new Slammer(1)
                  use! site = start ()
                  let read = RequestOp(RequestRange = RequestOp.Types.Range(Key = bytes "a"))
                  let write = RequestOp(RequestPut = RequestOp.Types.Put(Key = bytes "a"))

                  let kindOf (operations: RequestOp list) =
                      task {
                          let request = TxnRequest(Table = table)
                          request.Failure.AddRange operations
                          use client = connect patient [ slammer.Endpoint; site.Endpoint ]
                          return! failure (client.Kv.TxnAsync(request, none))
                      }

                  let! refused = kindOf [ read ]
                  Expect.equal refused.Status StatusCode.Unimplemented "it reached the second site, which has no transactions"
                  let! unknown = kindOf [ read; write ]
                  Expect.equal unknown.Kind FailureKind.OutcomeUnknown "it did not"
              })

          testCaseTask "the one that answered is asked first from then on" (fun () ->
              task {
                  use! broken = start ()
                  use! site = start ()
                  broken.State.Fault <- fun _ _ -> refuseWith StatusCode.Unavailable "no leader"
                  use client = connect patient [ broken.Endpoint; site.Endpoint ]

                  for _ in 1..3 do
                      let! _ = client.Kv.RangeAsync(get "a", none)
                      ()

                  Expect.equal broken.State.Calls.Count 1 "asked once"
              })

          testCaseTask "none of which answers, the error names where it looked" (fun () ->
              task {
                  use nobody = new Nobody()
                  use client = connect patient [ nobody.Endpoint ]
                  let! e = failure (client.Kv.PutAsync(put "a" "1", none))
                  Expect.equal e.Kind FailureKind.Unreachable "nothing can have happened"
                  Expect.stringContains e.Message $"{nobody.Endpoint} (connection refused)" "message"
              }) ]

let private streams =
    testList
        "A stream"
        [ testCaseTask "of pages comes whole" (fun () ->
              task {
                  use! site = start ()
                  fill site [ "a"; "b"; "c"; "d"; "e" ]
                  use client = connect patient [ site.Endpoint ]
                  let! found, error = collect (client.Kv.IterateAsync(everything, none))
                  Expect.equal (found, error) ([ "a"; "b"; "c"; "d"; "e" ], None) "all keys"
              })

          testCaseTask "moves on to another node before its first page, not after it" (fun () ->
              task {
                  use! broken = start ()
                  use! site = start ()
                  fill broken [ "a"; "b"; "c" ]
                  fill site [ "x" ]

                  broken.State.Fault <-
                      fun name _ -> if name = "IterateRange" then refuseWith StatusCode.Unavailable "no leader" else Task.CompletedTask

                  use client = connect patient [ broken.Endpoint; site.Endpoint ]
                  let! found, error = collect (client.Kv.IterateAsync(everything, none))
                  Expect.equal (found, error) ([ "x" ], None) "the other node's keys"

                  broken.State.Fault <-
                      fun name key ->
                          if name = "Page" && key = Bytes.ofText "c" then
                              refuseWith StatusCode.Unavailable "stopping"
                          else
                              Task.CompletedTask

                  use again = connect patient [ broken.Endpoint; site.Endpoint ]
                  let! found, error = collect (again.Kv.IterateAsync(everything, none))
                  Expect.equal found [ "a"; "b" ] "its first page, and nothing of another node behind it"
                  Expect.equal (error |> Option.map (fun e -> e.Kind)) (Some FailureKind.Unreachable) "then an error"
              })

          testCaseTask "that falls silent ends when the next page does not come in time" (fun () ->
              task {
                  use! site = start ()
                  fill site [ "a"; "b"; "c" ]
                  let never = TaskCompletionSource()
                  site.State.Fault <- fun name key -> if name = "Page" && key = Bytes.ofText "c" then never.Task else Task.CompletedTask
                  use client = connect impatient [ site.Endpoint ]
                  let! found, error = collect (client.Kv.IterateAsync(everything, none))
                  never.SetResult()
                  Expect.equal found [ "a"; "b" ] "what came"
                  Expect.equal (error |> Option.map (fun e -> e.Kind)) (Some FailureKind.TimedOut) "kind"
              }) ]

let private fates =
    testList
        "A call"
        [ testCaseTask "that is not answered in time: a read timed out, a write may have happened" (fun () ->
              task {
                  use! site = start ()
                  let never = TaskCompletionSource()
                  site.State.Fault <- fun _ _ -> never.Task
                  use client = connect impatient [ site.Endpoint ]
                  let! read = failure (client.Kv.RangeAsync(get "a", none))
                  let! write = failure (client.Kv.PutAsync(put "a" "1", none))
                  never.SetResult()
                  Expect.equal (read.Kind, write.Kind) (FailureKind.TimedOut, FailureKind.OutcomeUnknown) "kinds"
              })

          testCaseTask "that the node refuses changed nothing, and has the node's words" (fun () ->
              task {
                  use! site = start ()
                  use client = connect patient [ site.Endpoint ]

                  for code in
                      [ StatusCode.InvalidArgument
                        StatusCode.FailedPrecondition
                        StatusCode.NotFound
                        StatusCode.ResourceExhausted
                        StatusCode.Unauthenticated ] do
                      site.State.Fault <- fun _ _ -> refuseWith code "the reason"
                      let! write = failure (client.Kv.PutAsync(put "a" "1", none))
                      Expect.equal (write.Kind, write.Status, write.Message) (FailureKind.Refused, code, "the reason") (string code)
              })

          testCaseTask "of which the node does not know what became may have happened" (fun () ->
              task {
                  use! site = start ()
                  use client = connect patient [ site.Endpoint ]

                  for code in [ StatusCode.Unknown; StatusCode.Internal; StatusCode.Aborted; StatusCode.DataLoss; StatusCode.Cancelled ] do
                      site.State.Fault <- fun _ _ -> refuseWith code "the reason"
                      let! write = failure (client.Kv.PutAsync(put "a" "1", none))
                      Expect.equal write.Kind FailureKind.OutcomeUnknown (string code)
              })

          testCaseTask "that its caller cancels ends with a cancellation" (fun () ->
              task {
                  use! site = start ()
                  use cancel = new CancellationTokenSource()
                  let never = TaskCompletionSource()

                  site.State.Fault <-
                      fun _ _ ->
                          cancel.Cancel()
                          never.Task

                  use client = connect patient [ site.Endpoint ]

                  let! cancelled =
                      task {
                          try
                              let! _ = client.Kv.RangeAsync(get "a", cancel.Token)
                              return false
                          with :? OperationCanceledException ->
                              return true
                      }

                  never.SetResult()
                  Expect.isTrue cancelled "cancelled"
              }) ]

let private records (pairs: (string * string) list) =
    let list = pairs |> List.mapi (fun i (key, value) -> PutRecord(int64 i + 1L, bytes key, bytes value))

    { new IAsyncEnumerable<PutRecord> with
        member _.GetAsyncEnumerator _ =
            let inner = (list :> seq<PutRecord>).GetEnumerator()

            { new IAsyncEnumerator<PutRecord> with
                member _.Current = inner.Current
                member _.MoveNextAsync() = ValueTask<bool>(inner.MoveNext())
                member _.DisposeAsync() = ValueTask.CompletedTask } }

let private pipeline =
    testList
        "Pipelined puts"
        [ testCaseTask "are as many at a time as the window says" (fun () ->
              task {
                  use! site = start ()
                  let full = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

                  // Nothing is answered before as many calls are here as the window lets through: a smaller window would never get an answer.
                  site.State.Fault <-
                      fun _ _ ->
                          if lock site.State (fun () -> site.State.UnderWay) = 4 then full.TrySetResult() |> ignore

                          full.Task

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = pipeline.RunAsync(records [ for i in 1..40 -> $"k{i}", "v" ], false, none)
                  Expect.equal (result.Written, result.Failed) (40L, 0L) "all written"
                  Expect.equal site.State.Concurrency 4 "never more"
              })

          testCaseTask "keep the order of the records of one key" (fun () ->
              task {
                  use! site = start ()
                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 8)
                  let! result = pipeline.RunAsync(records [ for i in 1..50 -> "k", string i ], false, none)
                  Expect.equal result.Written 50L "all written"
                  Expect.equal (site.State.Keys[Bytes.ofText "k"].Value.ToStringUtf8()) "50" "the last one"
                  Expect.equal site.State.Concurrency 1 "one after the other"
              })

          testCaseTask "stop at a record that is refused, with every record before it written" (fun () ->
              task {
                  use! site = start ()

                  site.State.Fault <-
                      fun _ key -> if key = Bytes.ofText "k30" then refuseWith StatusCode.FailedPrecondition "no" else Task.CompletedTask

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = pipeline.RunAsync(records [ for i in 1..1000 -> $"k{i}", "v" ], false, none)
                  Expect.equal [ for failure in result.Failures -> failure.Position ] [ 30L ] "the failure"

                  for i in 1..29 do
                      Expect.isTrue (site.State.Keys.ContainsKey(Bytes.ofText $"k{i}")) $"k{i} is written"

                  Expect.equal result.Written (int64 site.State.Keys.Count) "the count is exact"
                  Expect.isLessThan result.Written 40L "it stopped within the window"
              })

          testCaseTask "go on behind refused records when told so, but never behind an unknown outcome" (fun () ->
              task {
                  use! site = start ()

                  site.State.Fault <-
                      fun _ key ->
                          match Bytes.toText key with
                          | "k3"
                          | "k5" -> refuseWith StatusCode.FailedPrecondition "no"
                          | "k300" -> refuseWith StatusCode.Unknown "lost"
                          | _ -> Task.CompletedTask

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = pipeline.RunAsync(records [ for i in 1..1000 -> $"k{i}", "v" ], true, none)
                  Expect.equal [ for failure in result.Failures -> failure.Position ] [ 3L; 5L; 300L ] "the failures"
                  Expect.isLessThan result.Written 310L "it stopped at the third"
              })

          testCaseTask "that are cancelled wait for what is under way and count it" (fun () ->
              task {
                  use! site = start ()
                  use cancel = new CancellationTokenSource()

                  site.State.Fault <-
                      fun _ key ->
                          if key = Bytes.ofText "k10" then cancel.Cancel()

                          Task.CompletedTask

                  use client = connect patient [ site.Endpoint ]
                  use pipeline = new PutPipeline(client, "default", 4)
                  let! result = pipeline.RunAsync(records [ for i in 1..1000 -> $"k{i}", "v" ], false, cancel.Token)
                  Expect.isTrue result.Cancelled "cancelled"
                  Expect.equal result.Failed 0L "nothing failed"
                  Expect.equal result.Written (int64 site.State.Keys.Count) "the count is exact"
                  Expect.isLessThan result.Written 20L "it stopped"
              }) ]

let all = testList "client" [ failover; streams; fates; pipeline ]
