namespace Regatta.Toxiproxy.Server

open System
open System.Net.Sockets
open System.Threading
open System.Threading.Tasks

/// The socket to one of a connection's two sides. A broken connection is an expected outcome here, not an exception. Safe for concurrent use.
[<Sealed>]
type internal Peer(socket: Socket) =
    do socket.NoDelay <- true

    let gate = obj ()
    let mutable pending = 0
    let mutable closed = false
    let mutable resets = false

    let tryBegin () =
        lock gate (fun () ->
            if not closed then pending <- pending + 1
            not closed)

    let finish () =
        lock gate (fun () ->
            pending <- pending - 1
            if closed && pending = 0 then socket.Dispose())

    /// Ends the operations under way.
    let shutDown () =
        try
            socket.Shutdown SocketShutdown.Both
        with :? SocketException ->
            // The connection is broken, which ends them as well.
            ()

    /// The length, 0 when the connection is broken or is closed here.
    let operateAsync (operation: unit -> ValueTask<int>) =
        task {
            if not (tryBegin ()) then
                return 0
            else
                try
                    try
                        let! length = operation ()
                        return if closed then 0 else length
                    with
                    | :? SocketException
                    | :? ObjectDisposedException -> return 0
                finally
                    finish ()
        }

    /// 0 when the stream has ended, is broken, or the socket was closed here.
    member _.ReceiveAsync(buffer: Memory<byte>) =
        operateAsync (fun () -> socket.ReceiveAsync(buffer, SocketFlags.None, CancellationToken.None))

    /// False when the bytes cannot all be sent.
    member _.SendAsync(bytes: ReadOnlyMemory<byte>) =
        task {
            let mutable rest = bytes
            let mutable broken = false

            while not (broken || rest.IsEmpty) do
                let next = rest
                let! sent = operateAsync (fun () -> socket.SendAsync(next, SocketFlags.None, CancellationToken.None))
                rest <- rest.Slice sent
                broken <- sent = 0

            return not broken
        }

    /// From now on closing is an RST, and what was not sent yet is lost.
    member _.ResetOnClose() =
        lock gate (fun () ->
            if not closed then
                resets <- true
                socket.LingerState <- LingerOption(true, 0))

    /// What was sent still arrives, and then the end. More than once is the same as once.
    member _.Close() =
        lock gate (fun () ->
            if not closed then
                closed <- true

                // .NET answers to a socket that is disposed of in the midst of an operation with an RST. That is what is wanted here only after a reset:
                // else the last operation to end disposes of it.
                if resets || pending = 0 then socket.Dispose() else shutDown ())
