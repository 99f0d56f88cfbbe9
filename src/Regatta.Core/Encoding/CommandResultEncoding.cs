using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Regatta.Core;

/// <summary>
/// The bytes of what a command did, on their way from the node that leads to the one that was asked. Numbers are varints, records
/// in key order; kinds are those of <see cref="CommandEncoding"/>:
/// <code>
/// result       [format 1] [kind] [revision] then
/// put          1 [previous]
/// delete range 2 [deleted] [n] n x record
/// txn          3 [flags: 1 succeeded] [n] n x response
/// dummy        4
/// replicated   5 [flags: 1 applied]
/// response     1 [previous] | 2 [deleted] [n] n x record | 3 [flags: 1 more] [count] [n] n x record
/// previous     [flags: 1 there is one] [record]
/// record       [key] [create revision] [mod revision] [version] [value]
/// </code>
/// Nodes of one site may run different versions for as long as an upgrade takes: a change is a new format. Pure and thread-safe.
/// </summary>
public static class CommandResultEncoding
{
    internal const byte Format = 1;

    private const byte Set = 1;

    /// <summary>An empty key and value, and three numbers of one byte.</summary>
    private const int SmallestRecord = 5;

    /// <summary>A put without a previous record.</summary>
    private const int SmallestResponse = 2;

    /// <summary>Most results are a kind and a revision.</summary>
    private const int UsualBytes = 64;

    /// <exception cref="ArgumentException">The result is of a type that has no form between nodes.</exception>
    /// <exception cref="OverflowException">A number is negative.</exception>
    public static ReadOnlyMemory<byte> Encode(CommandResult result)
    {
        var writer = new ByteWriter(UsualBytes);
        writer.Byte(Format);
        writer.Byte((byte)KindOf(result));
        WriteNatural(writer, result.Revision);
        switch (result)
        {
            case PutResult put:
                WritePrevious(writer, put.Previous);
                break;
            case DeleteRangeResult delete:
                WriteDeleted(writer, delete.Deleted, delete.Previous);
                break;
            case TxnResult txn:
                writer.Byte(txn.Succeeded ? Set : (byte)0);
                WriteResponses(writer, txn.Responses);
                break;
            case ReplicatedResult replicated:
                writer.Byte(replicated.IsApplied ? Set : (byte)0);
                break;
        }

        return writer.Written.ToArray();
    }

    /// <summary>Keys and values are slices of the bytes, which must stay as they are for as long as the result is used.</summary>
    /// <exception cref="InvalidDataException">The bytes are cut off, garbled, of an unknown format, or more than one result.</exception>
    public static CommandResult Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes, "Command result");
        byte format = reader.Byte();
        if (format != Format)
            throw reader.Corrupt($"format {format} is unknown; a newer version may have written it");
        CommandKind kind = CommandEncoding.ReadKind(ref reader);
        long revision = reader.Natural();
        CommandResult result = kind switch
        {
            CommandKind.Put => new PutResult(revision, ReadPrevious(ref reader)),
            CommandKind.DeleteRange => new DeleteRangeResult(revision, reader.Natural(), ReadRecords(ref reader)),
            CommandKind.Txn => new TxnResult(revision, ReadFlag(ref reader), ReadResponses(ref reader)),
            CommandKind.Replicated => new ReplicatedResult(revision, ReadFlag(ref reader)),
            _ => new DummyResult(revision),
        };
        return reader.Remaining == 0 ? result : throw reader.Corrupt($"{reader.Remaining} bytes are left behind the result");
    }

    private static CommandKind KindOf(CommandResult result) => result switch
    {
        PutResult => CommandKind.Put,
        DeleteRangeResult => CommandKind.DeleteRange,
        TxnResult => CommandKind.Txn,
        DummyResult => CommandKind.Dummy,
        ReplicatedResult => CommandKind.Replicated,
        _ => throw new ArgumentException($"{result.GetType().Name} has no form between nodes.", nameof(result)),
    };

    private static void WriteResponses(ByteWriter writer, ImmutableArray<TxnOpResult> responses)
    {
        writer.Varint((uint)responses.Length);
        foreach (TxnOpResult response in responses)
            WriteResponse(writer, response);
    }

    private static void WriteResponse(ByteWriter writer, TxnOpResult response)
    {
        switch (response)
        {
            case TxnOpResult.Put put:
                writer.Byte((byte)OperationKind.Put);
                WritePrevious(writer, put.Previous);
                break;
            case TxnOpResult.DeleteRange delete:
                writer.Byte((byte)OperationKind.DeleteRange);
                WriteDeleted(writer, delete.Deleted, delete.Previous);
                break;
            case TxnOpResult.Range range:
                writer.Byte((byte)OperationKind.Range);
                writer.Byte(range.More ? Set : (byte)0);
                WriteNatural(writer, range.Count);
                WriteRecords(writer, range.Records);
                break;
        }
    }

    private static ImmutableArray<TxnOpResult> ReadResponses(ref ByteReader reader)
    {
        var responses = new TxnOpResult[reader.Count(SmallestResponse)];
        for (int i = 0; i < responses.Length; i++)
            responses[i] = ReadResponse(ref reader);
        return ImmutableCollectionsMarshal.AsImmutableArray(responses);
    }

    private static TxnOpResult ReadResponse(ref ByteReader reader)
    {
        byte kind = reader.Byte();
        switch ((OperationKind)kind)
        {
            case OperationKind.Put:
                return new TxnOpResult.Put(ReadPrevious(ref reader));
            case OperationKind.DeleteRange:
                return new TxnOpResult.DeleteRange(reader.Natural(), ReadRecords(ref reader));
            case OperationKind.Range:
                bool more = ReadFlag(ref reader);
                long count = reader.Natural();
                return new TxnOpResult.Range(ReadRecords(ref reader), more, count);
            default:
                throw reader.Corrupt($"unknown kind of response {kind}; a newer version may have written it");
        }
    }

    private static void WriteDeleted(ByteWriter writer, long deleted, ImmutableArray<KeyRecord> previous)
    {
        WriteNatural(writer, deleted);
        WriteRecords(writer, previous);
    }

    private static void WritePrevious(ByteWriter writer, KeyRecord? previous)
    {
        writer.Byte(previous is null ? (byte)0 : Set);
        if (previous is not null)
            WriteRecord(writer, previous);
    }

    private static KeyRecord? ReadPrevious(ref ByteReader reader) => ReadFlag(ref reader) ? ReadRecord(ref reader) : null;

    private static void WriteRecords(ByteWriter writer, ImmutableArray<KeyRecord> records)
    {
        writer.Varint((uint)records.Length);
        foreach (KeyRecord record in records)
            WriteRecord(writer, record);
    }

    private static ImmutableArray<KeyRecord> ReadRecords(ref ByteReader reader)
    {
        var records = new KeyRecord[reader.Count(SmallestRecord)];
        for (int i = 0; i < records.Length; i++)
            records[i] = ReadRecord(ref reader);
        return ImmutableCollectionsMarshal.AsImmutableArray(records);
    }

    private static void WriteRecord(ByteWriter writer, KeyRecord record)
    {
        writer.Bytes(record.Key.Span);
        WriteNatural(writer, record.Header.CreateRevision);
        WriteNatural(writer, record.Header.ModRevision);
        WriteNatural(writer, record.Header.Version);
        writer.Bytes(record.Value.Span);
    }

    private static KeyRecord ReadRecord(ref ByteReader reader)
    {
        ReadOnlyMemory<byte> key = reader.Bytes();
        var header = new RecordHeader(reader.Natural(), reader.Natural(), reader.Natural());
        return new KeyRecord(key, header, reader.Bytes());
    }

    private static bool ReadFlag(ref ByteReader reader) => reader.Flags(Set) != 0;

    private static void WriteNatural(ByteWriter writer, long value) => writer.Varint(checked((ulong)value));
}
