/// Sockets as the tests use them: every wait ends at the deadline.
module Regatta.Toxiproxy.Tests.Wire

open System
open System.IO
open System.Net
open System.Net.Sockets

/// How a stream ended.
type Ending =
    | Closed
    | Reset

let connect (address: string) =
    task {
        let socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp, NoDelay = true)
        do! socket.ConnectAsync(IPEndPoint.Parse address, Deadline.token ())
        return socket
    }

let send (socket: Socket) (bytes: byte array) =
    task {
        let! _ = socket.SendAsync(ReadOnlyMemory bytes, SocketFlags.None, Deadline.token ())
        ()
    }

/// Sends the same bytes again and again, until the connection is broken.
let sendUntilBroken (socket: Socket) (bytes: byte array) =
    task {
        let mutable sending = true

        while sending do
            try
                do! send socket bytes
            with :? SocketException ->
                sending <- false
    }

let private someBefore (socket: Socket) most token =
    task {
        let buffer = Array.zeroCreate most
        let! length = socket.ReceiveAsync(Memory buffer, SocketFlags.None, token)
        return buffer[.. length - 1]
    }

/// Exactly so many bytes.
let exactly (socket: Socket) count =
    task {
        let token = Deadline.token ()
        let into = new MemoryStream()

        while into.Length < int64 count do
            let! bytes = someBefore socket (count - int into.Length) token
            if bytes.Length = 0 then failwith $"the stream ended after {into.Length} of {count} bytes"
            into.Write(bytes, 0, bytes.Length)

        return into.ToArray()
    }

/// All bytes until the end, and how it came.
let rest (socket: Socket) =
    task {
        let token = Deadline.token ()
        let into = new MemoryStream()
        let mutable ending = None

        while ending.IsNone do
            try
                let! bytes = someBefore socket 65_536 token
                if bytes.Length = 0 then ending <- Some Closed
                into.Write(bytes, 0, bytes.Length)
            with :? SocketException as e when e.SocketErrorCode = SocketError.ConnectionReset ->
                ending <- Some Reset

        return into.ToArray(), ending.Value
    }

/// Random bytes, the same for the same seed.
let bytes (seed: int) count =
    let into = Array.zeroCreate count
    (Random seed).NextBytes into
    into
