namespace Regatta.Testing

open System
open System.Collections.Generic
open System.IO
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks

/// A way to a port that can be closed, opened again, and cut after some bytes: a relay on loopback.
type Relay() =
    let listener = new TcpListener(IPAddress.Loopback, 0)
    let stop = new CancellationTokenSource()
    let gate = obj ()
    let open' = HashSet<TcpClient>()
    // Read and changed under the gate: a connection is among the open ones, or its way is closed.
    let mutable target: int option = None
    let mutable cutAfter: (unit -> int) option = None
    let mutable carried = 0L

    let close (client: TcpClient) =
        lock gate (fun () -> open'.Remove client |> ignore)
        client.Dispose()

    /// One direction, until it ends, or the bytes that it may carry are used up.
    let copy (from: TcpClient) (into: TcpClient) (allowance: int) (count: int -> unit) =
        task {
            let buffer = Array.zeroCreate 65_536
            let mutable left = allowance
            let mutable going = true

            try
                while going do
                    let! read = from.GetStream().ReadAsync(Memory buffer, stop.Token)
                    let length = min read left
                    left <- left - length
                    going <- length > 0 && left > 0
                    do! into.GetStream().WriteAsync(ReadOnlyMemory(buffer, 0, length), stop.Token)
                    count length
            with
            | :? IOException
            | :? InvalidOperationException
            | :? OperationCanceledException -> ()

            close from
            close into
        }

    let serve (client: TcpClient) =
        task {
            let onwards = new TcpClient(NoDelay = true)
            client.NoDelay <- true

            let way =
                lock gate (fun () ->
                    if target.IsSome then
                        open'.Add client |> ignore
                        open'.Add onwards |> ignore

                    target)

            match way with
            | None ->
                client.Dispose()
                onwards.Dispose()
            | Some port ->
                try
                    do! onwards.ConnectAsync(IPAddress.Loopback, port, stop.Token)
                    let allowance = cutAfter |> Option.map (fun draw -> draw ()) |> Option.defaultValue Int32.MaxValue
                    let back (length: int) = Interlocked.Add(&carried, int64 length) |> ignore
                    let! _ = Task.WhenAll [| copy client onwards Int32.MaxValue ignore; copy onwards client allowance back |]
                    ()
                with
                | :? SocketException
                | :? ObjectDisposedException
                | :? OperationCanceledException ->
                    close client
                    close onwards
        }

    let accepting =
        listener.Start()

        task {
            try
                while true do
                    let! client = listener.AcceptTcpClientAsync stop.Token
                    serve client |> ignore
            with
            | :? OperationCanceledException
            | :? SocketException
            | :? ObjectDisposedException -> ()
        }

    member _.Address = $"http://127.0.0.1:{(listener.LocalEndpoint :?> IPEndPoint).Port}"

    /// Connections that are there stay.
    member _.LeadTo(port: int option) = lock gate (fun () -> target <- port)

    /// Each connection made from now on is cut when it has carried so many bytes back.
    member _.CutAfter(draw: (unit -> int) option) = cutAfter <- draw

    /// Cuts each connection after a number of bytes below the limit. Each has a thread of its own, and so do those who draw elsewhere.
    member relay.CutAtRandom(draw: Random, limit: int) =
        let own = Random(draw.Next())
        relay.CutAfter(Some(fun () -> lock own (fun () -> own.Next(1, limit))))

    /// Bytes that came back so far, over all connections.
    member _.Carried = Interlocked.Read &carried

    /// Breaks all connections.
    member _.Break() =
        for client in lock gate (fun () -> List.ofSeq open') do
            close client

    /// Nobody gets through until LeadTo.
    member relay.Close() =
        relay.LeadTo None
        relay.Break()

    interface IAsyncDisposable with
        member relay.DisposeAsync() =
            ValueTask(
                task {
                    do! stop.CancelAsync()
                    listener.Stop()
                    relay.Break()
                    do! accepting
                    stop.Dispose()
                }
            )
