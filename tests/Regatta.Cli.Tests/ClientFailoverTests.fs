module ClientFailoverTests

open System
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Client
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open FakeSite
open ClientCalls

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

let all = testList "client" [ failover ]
