/// The connections that nodes and clients make.
module Channels

open System
open System.Collections.Immutable
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Protocol.Channels
open Regatta.Protocol.V1

let private settings =
    ChannelSettings(
        ConnectTimeout = TimeSpan.FromSeconds 30.0,
        PingDelay = TimeSpan.FromSeconds 30.0,
        PingTimeout = TimeSpan.FromSeconds 30.0,
        MaxReceiveBytes = Nullable(),
        Clock = TimeProvider.System
    )

/// Takes each connection and closes it at once, as a proxy does whose server is away.
let private closing (body: Uri -> Task<unit>) =
    task {
        use listener = new TcpListener(IPAddress.Loopback, 0)
        listener.Start 512
        use stop = new CancellationTokenSource()

        let accepting =
            task {
                try
                    while true do
                        let! client = listener.AcceptSocketAsync stop.Token
                        client.Dispose()
                with :? OperationCanceledException ->
                    ()
            }

        try
            do! body (Uri $"http://127.0.0.1:{(listener.LocalEndpoint :?> IPEndPoint).Port}")
        finally
            stop.Cancel()

        do! accepting
    }

/// Keeps the processors busy, so that a thread may be stopped anywhere.
let private busily (body: unit -> Task<unit>) =
    task {
        use stop = new CancellationTokenSource()
        let token = stop.Token

        let spin () =
            while not token.IsCancellationRequested do
                Thread.SpinWait 1000

        let spinning =
            [ for _ in 1 .. Environment.ProcessorCount ->
                  Task.Factory.StartNew(spin, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default) ]

        try
            do! body ()
        finally
            stop.Cancel()

        do! Task.WhenAll spinning
    }

/// The first end that is no broken connection.
let private calls (invoker: CallInvoker) count =
    task {
        let mutable left = count
        let mutable other = None

        while left > 0 && other.IsNone do
            left <- left - 1

            try
                let! _ = KV.KVClient(invoker).RangeAsync(RangeRequest(), deadline = Nullable(DateTime.UtcNow.AddSeconds 20.0))
                other <- Some "an answer"
            with :? RpcException as e ->
                if not (BrokenCall.Broke e) then other <- Some(string e.Status)

        return other
    }

let tests =
    testList
        "connections"
        [ testCaseTask
              "that are closed at once, again and again, keep nobody waiting: each call ends, and the next one tries anew"
              (fun () ->
                  closing (fun address ->
                      busily (fun () ->
                          task {
                              let all = [ for _ in 1..8 -> new ChannelSet(ImmutableArray.Create address, settings) ]

                              let! others =
                                  Task.WhenAll
                                      [| for channels in all do
                                             for _ in 1..4 -> Task.Run<string option>(fun () -> calls channels.Current.Invoker 500) |]

                              for channels in all do
                                  channels.Dispose()

                              Expect.isEmpty (Array.choose id others) "each breaks, and none waits until its deadline"
                          }))) ]
