namespace Regatta.Toxiproxy.Server

open System.Collections.Generic
open System.Net
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks

/// Listens for a proxy, and owns its connections. Stops once.
[<Sealed>]
type internal Listener private (socket: Socket, upstream: string, chain: ToxicChain) =
    let stopping = new CancellationTokenSource()
    let gate = obj ()
    let serving = HashSet<Task>()
    let connections = HashSet<Connection> HashIdentity.Reference

    /// None when the server cannot be reached.
    let dialAsync () =
        task {
            match Address.split upstream with
            | Error _ -> return None
            | Ok(host, port) ->
                let server = new Socket(SocketType.Stream, ProtocolType.Tcp)

                try
                    do! server.ConnectAsync((if host = "" then "localhost" else host), port, stopping.Token)
                    return Some server
                with
                | :? SocketException
                | :? System.OperationCanceledException ->
                    server.Dispose()
                    return None
        }

    /// None when the listener has stopped meanwhile.
    let tryOpen client server =
        lock gate (fun () ->
            if stopping.IsCancellationRequested then
                None
            else
                let connection = Connection(chain, client, server)
                connections.Add connection |> ignore
                Some connection)

    let serveAsync (client: Socket) =
        task {
            match! dialAsync () with
            | None -> client.Dispose()
            | Some server ->
                match tryOpen client server with
                | None ->
                    client.Dispose()
                    server.Dispose()
                | Some connection ->
                    do! connection.RunAsync()
                    lock gate (fun () -> connections.Remove connection |> ignore)
        }

    /// Keeps only what still runs or has failed.
    let own (task: Task) =
        lock gate (fun () ->
            serving.RemoveWhere _.IsCompletedSuccessfully |> ignore
            serving.Add task |> ignore)

    let acceptAsync () =
        task {
            try
                while true do
                    try
                        let! client = socket.AcceptAsync stopping.Token
                        own (serveAsync client)
                    with :? SocketException as e when e.SocketErrorCode = SocketError.ConnectionReset ->
                        // A client that has gone before it was accepted is no reason to turn away the next.
                        ()
            with :? System.OperationCanceledException ->
                ()
        }

    let accepting = acceptAsync ()

    /// Where it listens, with the port that the system chose.
    member val Address = string socket.LocalEndPoint

    /// Listens at once. The error says why it cannot.
    static member Start(listen: IPEndPoint, upstream: string, chain: ToxicChain) =
        let socket = new Socket(listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp)

        try
            socket.Bind listen
            socket.Listen()
            Ok(Listener(socket, upstream, chain))
        with :? SocketException as e ->
            socket.Dispose()
            let why = if e.SocketErrorCode = SocketError.AddressAlreadyInUse then "address already in use" else e.Message
            Error $"listen tcp {listen}: bind: {why}"

    /// Closes it and all its connections, and waits until they are.
    member _.StopAsync() =
        task {
            do! stopping.CancelAsync()

            try
                do! accepting
            finally
                socket.Dispose()

                for connection in lock gate (fun () -> List.ofSeq connections) do
                    connection.Abort()

            do! Task.WhenAll(lock gate (fun () -> List.ofSeq serving))
            stopping.Dispose()
        }
