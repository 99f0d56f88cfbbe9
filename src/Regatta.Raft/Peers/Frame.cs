using System.Buffers;
using System.Buffers.Binary;

namespace Regatta.Raft;

/// <summary>What a frame is. Numbers are on the wire and never change.</summary>
internal enum FrameKind : byte
{
    Hello = 1,
    Accepted = 2,

    /// <summary>Carries a sentence; the connection ends.</summary>
    Refused = 3,
    Ping = 4,
    Pong = 5,
    Request = 6,
    Reply = 7,

    /// <summary>A reply that carries the message of an exception.</summary>
    Failure = 8,

    /// <summary>The rest of a request will not come: its caller has cancelled.</summary>
    Abandoned = 9,
}

/// <summary>The bytes before each piece of a message: [length u32][group i64][call u32][kind u8][method u8], little-endian.</summary>
/// <param name="Length">Bytes of the message in this frame.</param>
/// <param name="Call">Chosen by the caller; the reply repeats it.</param>
/// <param name="HasMore">Not the message's last frame; the highest bit of the kind.</param>
internal readonly record struct Frame(int Length, long Group, uint Call, FrameKind Kind, bool HasMore, PeerMethod Method)
{
    public const int HeaderBytes = 18;
    private const byte MoreBit = 0x80;

    public static Frame Of(FrameKind kind, int length = 0) => new(length, 0, 0, kind, HasMore: false, 0);

    /// <summary>Takes the next frame off the buffer, if all of it is there.</summary>
    /// <exception cref="MalformedFrameException">It is no frame.</exception>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, int maxBytes, out Frame frame, out ReadOnlySequence<byte> body)
    {
        frame = default;
        body = default;
        if (buffer.Length < HeaderBytes)
            return false;
        Span<byte> header = stackalloc byte[HeaderBytes];
        buffer.Slice(0, HeaderBytes).CopyTo(header);
        frame = Decode(header, maxBytes);
        if (buffer.Length < HeaderBytes + frame.Length)
            return false;
        body = buffer.Slice(HeaderBytes, frame.Length);
        buffer = buffer.Slice(HeaderBytes + frame.Length);
        return true;
    }

    public void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> body)
    {
        Span<byte> header = output.GetSpan(HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header, Length);
        BinaryPrimitives.WriteInt64LittleEndian(header[4..], Group);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], Call);
        header[16] = (byte)((byte)Kind | (HasMore ? MoreBit : 0));
        header[17] = (byte)Method;
        output.Advance(HeaderBytes);
        output.Write(body);
    }

    private static Frame Decode(ReadOnlySpan<byte> header, int maxBytes)
    {
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(header);
        FrameKind kind = (FrameKind)(header[16] & ~MoreBit);
        if (kind is < FrameKind.Hello or > FrameKind.Abandoned)
            throw new MalformedFrameException("it sent a frame of an unknown kind");
        if (length > maxBytes)
            throw new MalformedFrameException($"it sent a frame of more than {maxBytes} bytes");
        return new Frame(
            (int)length,
            BinaryPrimitives.ReadInt64LittleEndian(header[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[12..]),
            kind,
            (header[16] & MoreBit) != 0,
            (PeerMethod)header[17]);
    }
}

/// <summary>What came over a connection makes no sense: nothing after it can be trusted either.</summary>
/// <param name="reason">What the other side did, as "it sent ...".</param>
internal sealed class MalformedFrameException(string reason) : IOException(reason);
