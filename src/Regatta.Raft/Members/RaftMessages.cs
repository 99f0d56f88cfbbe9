using System.Buffers.Binary;
using System.Text;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Regatta.Raft;

/// <summary>A candidate's question, for votes and for preliminary votes. In Raft's words: term, lastLogIndex, lastLogTerm.</summary>
/// <param name="IsTransfer">The leader has asked the candidate to stand: whoever hears from that leader votes all the same.</param>
internal readonly record struct VoteRequest(long Term, long LastIndex, long LastTerm, bool IsTransfer);

/// <summary>A leader's entries, or none. In Raft's words: term, prevLogIndex, prevLogTerm, entries[], leaderCommit.</summary>
internal readonly record struct AppendRequest(long Term, long PreviousIndex, long PreviousTerm, long Commit, ReceivedEntry[] Entries);

/// <summary>A leader has cut what the member needs: it must get the state up to this index, by other means.</summary>
internal readonly record struct SnapshotNotice(long Term, long Index, long IndexTerm);

/// <param name="LastIndex">Last index that the member has and the leader need not send; for a refusal where it may try.</param>
internal readonly record struct AppendReply(long Term, HeartbeatResult Result, long LastIndex);

/// <summary>
/// Raft's messages as bytes: <c>[format u8 = 1]</c>, then the fields as i64 LE in the order of the types above. Entries follow as <c>[length u32][record
/// without its checksum]</c>, see <see cref="LogRecord"/>: a checksum depends on nothing that the receiver does not know. Malformed bytes are an
/// <see cref="InvalidDataException"/>.
/// </summary>
internal static class RaftMessages
{
    private const byte Format = 1;
    private const int EntryOverhead = sizeof(uint);

    public static byte[] Encode(in VoteRequest vote) => Numbers(vote.Term, vote.LastIndex, vote.LastTerm, vote.IsTransfer ? 1 : 0);

    public static VoteRequest DecodeVote(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> body = Whole(message, 4);
        return new VoteRequest(At(body, 0), At(body, 1), At(body, 2), At(body, 3) == 1);
    }

    public static byte[] Encode(in SnapshotNotice notice) => Numbers(notice.Term, notice.Index, notice.IndexTerm);

    public static SnapshotNotice DecodeSnapshot(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> body = Whole(message, 3);
        return new SnapshotNotice(At(body, 0), At(body, 1), At(body, 2));
    }

    public static byte[] Encode(in AppendReply reply) => Numbers(reply.Term, (long)reply.Result, reply.LastIndex);

    public static AppendReply DecodeAppendReply(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> body = Whole(message, 3);
        return new AppendReply(At(body, 0), Outcome(At(body, 1)), At(body, 2));
    }

    /// <summary>Answers a vote (0 or 1) or a preliminary vote (<see cref="PreVoteResult"/>).</summary>
    public static byte[] EncodeVoteReply(long term, long answer) => Numbers(term, answer);

    public static (long Term, long Answer) DecodeVoteReply(ReadOnlyMemory<byte> message) => DecodePair(message);

    /// <summary>The two numbers of a message made by <see cref="Numbers"/>.</summary>
    public static (long First, long Second) DecodePair(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> body = Whole(message, 2);
        return (At(body, 0), At(body, 1));
    }

    public static byte[] EncodeAppend<TEntry, TList>(long term, TList entries, long previousIndex, long previousTerm, long commit)
        where TEntry : IRaftLogEntry
        where TList : IReadOnlyList<TEntry>
    {
        int length = 1 + (5 * sizeof(long));
        for (int i = 0; i < entries.Count; i++)
            length += EntryOverhead + LogRecord.BytesWithoutChecksum(PayloadOf(entries[i]).Length);
        byte[] message = GC.AllocateUninitializedArray<byte>(length);
        message[0] = Format;
        Span<byte> rest = message.AsSpan(1);
        foreach (long number in (ReadOnlySpan<long>)[term, previousIndex, previousTerm, commit, entries.Count])
        {
            BinaryPrimitives.WriteInt64LittleEndian(rest, number);
            rest = rest[sizeof(long)..];
        }

        for (int i = 0; i < entries.Count; i++)
        {
            TEntry entry = entries[i];
            ReadOnlySpan<byte> payload = PayloadOf(entry).Span;
            int bytes = LogRecord.BytesWithoutChecksum(payload.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(rest, (uint)bytes);
            LogRecord.WriteWithoutChecksum(rest.Slice(EntryOverhead, bytes), entry.Term, entry.IsConfiguration, payload);
            rest = rest[(EntryOverhead + bytes)..];
        }

        return message;
    }

    public static AppendRequest DecodeAppend(ReadOnlyMemory<byte> message)
    {
        const int Head = 1 + (5 * sizeof(long));
        ReadOnlySpan<byte> head = message.Length >= Head ? Checked(message.Span) : throw Malformed("it is too short");
        long count = At(head, 4);
        if (count < 0 || count > (message.Length - Head) / (EntryOverhead + LogRecord.BytesWithoutChecksum(0)))
            throw Malformed($"{count} entries are announced in {message.Length} bytes");
        ReceivedEntry[] entries = new ReceivedEntry[count];
        int offset = Head;
        for (int i = 0; i < entries.Length; i++)
            entries[i] = ReadEntry(message, ref offset);
        if (offset != message.Length)
            throw Malformed($"{message.Length - offset} bytes are left behind the last entry");
        return new AppendRequest(At(head, 0), At(head, 1), At(head, 2), At(head, 3), entries);
    }

    /// <summary>A refusal or failure of a call that is not Raft's own: <c>[failure u8][sentence UTF-8]</c>; 0 and the bytes of the answer when all went well.</summary>
    public static byte[] EncodeOutcome(GroupFailure failure, string? reason, ReadOnlySpan<byte> answer)
    {
        byte[] text = failure == GroupFailure.None ? [] : Encoding.UTF8.GetBytes(reason ?? "");
        return [(byte)failure, .. text, .. answer];
    }

    public static (GroupFailure Failure, string? Reason, ReadOnlyMemory<byte> Answer) DecodeOutcome(ReadOnlyMemory<byte> message)
    {
        if (message.IsEmpty || message.Span[0] > (byte)GroupFailure.Cancelled)
            throw Malformed("it names no known outcome");
        GroupFailure failure = (GroupFailure)message.Span[0];
        return failure == GroupFailure.None ? (failure, null, message[1..]) : (failure, Encoding.UTF8.GetString(message.Span[1..]), default);
    }

    public static byte[] Numbers(params ReadOnlySpan<long> numbers)
    {
        byte[] message = new byte[1 + (numbers.Length * sizeof(long))];
        message[0] = Format;
        for (int i = 0; i < numbers.Length; i++)
            BinaryPrimitives.WriteInt64LittleEndian(message.AsSpan(1 + (i * sizeof(long))), numbers[i]);
        return message;
    }

    /// <summary>The one number of a message made by <see cref="Numbers"/>.</summary>
    public static long DecodeNumber(ReadOnlyMemory<byte> message) => At(Whole(message, 1), 0);

    /// <summary>All numbers of a message made by <see cref="Numbers"/>.</summary>
    public static long[] DecodeNumbers(ReadOnlyMemory<byte> message)
    {
        if (message.Length % sizeof(long) != 1)
            throw Malformed($"it has {message.Length} bytes");
        ReadOnlySpan<byte> body = Checked(message.Span);
        long[] numbers = new long[body.Length / sizeof(long)];
        for (int i = 0; i < numbers.Length; i++)
            numbers[i] = At(body, i);
        return numbers;
    }

    /// <summary>The numbers of a message made by <see cref="Numbers"/>, so many in a row.</summary>
    public static IEnumerable<long[]> DecodeRows(ReadOnlyMemory<byte> message, int numbers)
    {
        long[] all = DecodeNumbers(message);
        return all.Length % numbers == 0 ? all.Chunk(numbers) : throw Malformed($"it has {all.Length} numbers, in rows of {numbers}");
    }

    private static ReadOnlyMemory<byte> PayloadOf<TEntry>(TEntry entry)
        where TEntry : IRaftLogEntry =>
        entry.TryGetMemory(out ReadOnlyMemory<byte> payload) ? payload : throw new InvalidOperationException("An entry of the log has no bytes.");

    private static ReceivedEntry ReadEntry(ReadOnlyMemory<byte> message, ref int offset)
    {
        if (message.Length - offset < EntryOverhead)
            throw Malformed("an entry is cut off");
        uint bytes = BinaryPrimitives.ReadUInt32LittleEndian(message.Span[offset..]);
        offset += EntryOverhead;
        if (bytes > message.Length - offset || bytes < LogRecord.BytesWithoutChecksum(0))
            throw Malformed("an entry is cut off");
        ReadOnlyMemory<byte> record = message.Slice(offset, (int)bytes);
        offset += (int)bytes;
        return LogRecord.HasKnownFormat(record.Span) ? new ReceivedEntry(record) : throw Malformed("an entry has an unknown format");
    }

    private static ReadOnlySpan<byte> Whole(ReadOnlyMemory<byte> message, int numbers) =>
        message.Length == 1 + (numbers * sizeof(long)) ? Checked(message.Span) : throw Malformed($"it has {message.Length} bytes");

    private static ReadOnlySpan<byte> Checked(ReadOnlySpan<byte> message) =>
        message[0] == Format ? message[1..] : throw Malformed($"format {message[0]} is unknown; a newer version may have sent it");

    private static long At(ReadOnlySpan<byte> body, int position) => BinaryPrimitives.ReadInt64LittleEndian(body[(position * sizeof(long))..]);

    private static HeartbeatResult Outcome(long number) =>
        number is >= 0 and <= byte.MaxValue && Enum.IsDefined((HeartbeatResult)number) ? (HeartbeatResult)number : throw Malformed($"result {number} is unknown");

    private static InvalidDataException Malformed(string what) => new($"A message between nodes is malformed: {what}.");
}
