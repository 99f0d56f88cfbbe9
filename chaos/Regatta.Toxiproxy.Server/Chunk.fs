namespace Regatta.Toxiproxy.Server

open System
open System.Buffers

/// Bytes on their way, in a pooled buffer. A chunk has one owner at a time: who has it passes it on or releases it.
[<Sealed>]
type internal Chunk private (buffer: byte array, length: int, arrived: int64) =
    let mutable offset = 0
    let mutable length = length

    static member Copy(bytes: ReadOnlyMemory<byte>, arrived: int64) =
        let buffer = ArrayPool<byte>.Shared.Rent bytes.Length
        bytes.CopyTo(Memory buffer)
        Chunk(buffer, bytes.Length, arrived)

    member _.Length = length
    member _.Bytes = ReadOnlyMemory(buffer, offset, length)

    /// When the bytes came, or would have come had the toxics before been a slow line.
    member val Arrived = arrived with get, set

    /// Takes the first `count` bytes away, into a chunk of their own.
    member chunk.Cut(count: int) =
        let first = Chunk.Copy(ReadOnlyMemory(buffer, offset, count), chunk.Arrived)
        offset <- offset + count
        length <- length - count
        first

    member _.Release() = ArrayPool<byte>.Shared.Return buffer
