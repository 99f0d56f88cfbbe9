using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Regatta.Core;

/// <summary>First byte of each command in an entry. Numbers are on disk: never used again, never changed.</summary>
internal enum CommandKind : byte
{
    Put = 1,
    DeleteRange = 2,
    Txn = 3,
    Dummy = 4,
    Replicated = 5,
    Install = 6,
}

/// <summary>First byte of each operation of a transaction. Numbers are on disk.</summary>
internal enum OperationKind : byte
{
    Put = 1,
    DeleteRange = 2,
    Range = 3,
}

/// <summary>
/// The bytes of one command in a Raft entry. Lengths, counts and numbers are varints, signed ones zigzag:
/// <code>
/// put          1 [flags: 1 previous]           [key] [value]
/// delete range 2 [flags: 1 previous, 2 count]  [range]
/// txn          3 [n] n x compare  [n] n x operation (success)  [n] n x operation (failure)
/// dummy        4
/// replicated   5 [history, 16 bytes] [incarnation] [revision before] [n] n x command, none of them replicated
/// install      6 [history, 16 bytes] [incarnation] [revision] [chain hash, 16 bytes] [hash of the files, 16 bytes LE], alone in its entry
/// compare      [range] [operator] [target] [value] [number]
/// operation    1 as put | 2 as delete range | 3 [flags: 1 keys only, 2 count only] [limit] [range]
/// range        0 [key] | 1 [start] | 2 [start] [end]
/// </code>
/// </summary>
internal static class CommandEncoding
{
    private const byte Previous = 1;
    private const byte WithCount = 2;
    private const byte OnlyKeys = 1;
    private const byte OnlyCount = 2;

    private const int HistoryBytes = 16;
    private const int FilesBytes = 16;

    /// <summary>A range of an empty key, operator, target, an empty value and a number of one byte.</summary>
    private const int SmallestCompare = 6;

    /// <summary>A put of an empty key and value.</summary>
    private const int SmallestOperation = 4;

    public static void Write(ByteWriter writer, TableCommand command)
    {
        switch (command)
        {
            case PutCommand put:
                writer.Byte((byte)CommandKind.Put);
                WritePut(writer, put.Key, put.Value, put.WantPrevious);
                break;
            case DeleteRangeCommand delete:
                writer.Byte((byte)CommandKind.DeleteRange);
                WriteDeleteRange(writer, delete.Range, delete.WantPrevious, delete.WantCount);
                break;
            case TxnCommand txn:
                writer.Byte((byte)CommandKind.Txn);
                WriteCompares(writer, txn.Compares);
                WriteOperations(writer, txn.Success);
                WriteOperations(writer, txn.Failure);
                break;
            case DummyCommand:
                writer.Byte((byte)CommandKind.Dummy);
                break;
            case ReplicatedBatch batch:
                writer.Byte((byte)CommandKind.Replicated);
                WriteBatch(writer, batch);
                break;
            case InstallCommand install:
                writer.Byte((byte)CommandKind.Install);
                WriteIncarnation(writer, install.Incarnation);
                writer.Varint(checked((ulong)install.Revision));
                install.Chain.WriteTo(writer.Take(ChainHash.Bytes));
                BinaryPrimitives.WriteUInt128LittleEndian(writer.Take(FilesBytes), install.Files);
                break;
            default:
                throw new ArgumentException($"{command.GetType().Name} has no form in the log.", nameof(command));
        }
    }

    public static CommandKind ReadKind(ref ByteReader reader)
    {
        byte kind = reader.Byte();
        return (CommandKind)kind is >= CommandKind.Put and <= CommandKind.Install
            ? (CommandKind)kind
            : throw reader.Corrupt($"unknown kind of command {kind}; a newer version may have written it");
    }

    /// <summary>The rest of a command whose kind has been read.</summary>
    public static TableCommand ReadBody(ref ByteReader reader, CommandKind kind) => kind switch
    {
        CommandKind.Put => ReadPut(ref reader),
        CommandKind.DeleteRange => ReadDeleteRange(ref reader),
        CommandKind.Txn => new TxnCommand(ReadCompares(ref reader), ReadOperations(ref reader), ReadOperations(ref reader)),
        CommandKind.Replicated => ReadBatch(ref reader),
        CommandKind.Install => new InstallCommand(
            ReadIncarnation(ref reader), reader.Natural(), ChainHash.ReadFrom(reader.Fixed(ChainHash.Bytes)), BinaryPrimitives.ReadUInt128LittleEndian(reader.Fixed(FilesBytes))),
        _ => new DummyCommand(),
    };

    public static PutFields ReadPutFields(ref ByteReader reader)
    {
        byte flags = reader.Flags(Previous);
        return new PutFields(reader.Bytes(), reader.Bytes(), (flags & Previous) != 0);
    }

    private static PutCommand ReadPut(ref ByteReader reader)
    {
        PutFields put = ReadPutFields(ref reader);
        return new PutCommand(put.Key, put.Value, put.WantPrevious);
    }

    private static DeleteRangeCommand ReadDeleteRange(ref ByteReader reader)
    {
        byte flags = reader.Flags(Previous | WithCount);
        return new DeleteRangeCommand(KeyRangeEncoding.Read(ref reader), (flags & Previous) != 0, (flags & WithCount) != 0);
    }

    private static void WritePut(ByteWriter writer, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, bool wantPrevious)
    {
        writer.Byte(wantPrevious ? Previous : (byte)0);
        writer.Bytes(key.Span);
        writer.Bytes(value.Span);
    }

    private static void WriteDeleteRange(ByteWriter writer, KeyRange range, bool wantPrevious, bool wantCount)
    {
        writer.Byte((byte)((wantPrevious ? Previous : 0) | (wantCount ? WithCount : 0)));
        KeyRangeEncoding.Write(writer, range);
    }

    /// <summary>Bytes of an incarnation.</summary>
    public static long SizeOf(Incarnation incarnation) => HistoryBytes + Sizes.Varint(checked((ulong)incarnation.Number));

    /// <summary>Bytes of an install's hashes.</summary>
    public const int InstallHashes = ChainHash.Bytes + FilesBytes;

    private static void WriteIncarnation(ByteWriter writer, Incarnation incarnation)
    {
        incarnation.History.TryWriteBytes(writer.Take(HistoryBytes), bigEndian: true, out _);
        writer.Varint(checked((ulong)incarnation.Number));
    }

    private static Incarnation ReadIncarnation(ref ByteReader reader) => new(new Guid(reader.Fixed(HistoryBytes), bigEndian: true), reader.Natural());

    private static void WriteBatch(ByteWriter writer, ReplicatedBatch batch)
    {
        WriteIncarnation(writer, batch.Incarnation);
        writer.Varint(checked((ulong)batch.Before));
        writer.Varint((uint)batch.Commands.Length);
        foreach (TableCommand command in batch.Commands)
        {
            if (command is ReplicatedBatch or InstallCommand)
                throw new ArgumentException($"A replicated batch holds a {command.GetType().Name}.", nameof(batch));
            Write(writer, command);
        }
    }

    private static ReplicatedBatch ReadBatch(ref ByteReader reader)
    {
        Incarnation incarnation = ReadIncarnation(ref reader);
        long before = reader.Natural();
        var commands = new TableCommand[reader.Count(smallest: 1)];
        for (int i = 0; i < commands.Length; i++)
        {
            CommandKind kind = ReadKind(ref reader);
            commands[i] = kind is CommandKind.Replicated or CommandKind.Install ? throw reader.Corrupt($"a replicated batch holds a command of kind {(byte)kind}") : ReadBody(ref reader, kind);
        }

        return new ReplicatedBatch(incarnation, before, ImmutableCollectionsMarshal.AsImmutableArray(commands));
    }

    private static void WriteCompares(ByteWriter writer, ImmutableArray<Compare> compares)
    {
        writer.Varint((uint)compares.Length);
        foreach (ref readonly Compare compare in compares.AsSpan())
        {
            KeyRangeEncoding.Write(writer, compare.Keys);
            writer.Byte((byte)compare.Operator);
            writer.Byte((byte)compare.Target);
            // Both operands, whatever the target: a target that this version does not know keeps its meaning for one that does.
            writer.Bytes(compare.Value.Span);
            writer.Signed(compare.Number);
        }
    }

    private static ImmutableArray<Compare> ReadCompares(ref ByteReader reader)
    {
        var compares = new Compare[reader.Count(SmallestCompare)];
        for (int i = 0; i < compares.Length; i++)
        {
            KeyRange keys = KeyRangeEncoding.Read(ref reader);
            var comparison = (CompareOperator)reader.Byte();
            var target = (CompareTarget)reader.Byte();
            compares[i] = new Compare(keys, comparison, target, reader.Bytes(), reader.Signed());
        }

        return ImmutableCollectionsMarshal.AsImmutableArray(compares);
    }

    private static void WriteOperations(ByteWriter writer, ImmutableArray<TxnOp> operations)
    {
        writer.Varint((uint)operations.Length);
        foreach (TxnOp operation in operations)
            WriteOperation(writer, operation);
    }

    private static void WriteOperation(ByteWriter writer, TxnOp operation)
    {
        switch (operation)
        {
            case TxnOp.Put put:
                writer.Byte((byte)OperationKind.Put);
                WritePut(writer, put.Key, put.Value, put.WantPrevious);
                break;
            case TxnOp.DeleteRange delete:
                writer.Byte((byte)OperationKind.DeleteRange);
                WriteDeleteRange(writer, delete.Keys, delete.WantPrevious, delete.WantCount);
                break;
            case TxnOp.Range range:
                writer.Byte((byte)OperationKind.Range);
                writer.Byte((byte)((range.KeysOnly ? OnlyKeys : 0) | (range.CountOnly ? OnlyCount : 0)));
                writer.Signed(range.Limit);
                KeyRangeEncoding.Write(writer, range.Keys);
                break;
        }
    }

    private static ImmutableArray<TxnOp> ReadOperations(ref ByteReader reader)
    {
        var operations = new TxnOp[reader.Count(SmallestOperation)];
        for (int i = 0; i < operations.Length; i++)
            operations[i] = ReadOperation(ref reader);
        return ImmutableCollectionsMarshal.AsImmutableArray(operations);
    }

    private static TxnOp ReadOperation(ref ByteReader reader)
    {
        byte kind = reader.Byte();
        switch ((OperationKind)kind)
        {
            case OperationKind.Put:
                PutFields put = ReadPutFields(ref reader);
                return new TxnOp.Put(put.Key, put.Value, put.WantPrevious);
            case OperationKind.DeleteRange:
                DeleteRangeCommand delete = ReadDeleteRange(ref reader);
                return new TxnOp.DeleteRange(delete.Range, delete.WantPrevious, delete.WantCount);
            case OperationKind.Range:
                byte flags = reader.Flags(OnlyKeys | OnlyCount);
                long limit = reader.Signed();
                return new TxnOp.Range(KeyRangeEncoding.Read(ref reader), limit, (flags & OnlyKeys) != 0, (flags & OnlyCount) != 0);
            default:
                throw reader.Corrupt($"unknown kind of operation {kind}; a newer version may have written it");
        }
    }
}

/// <summary>A put as slices of its entry: the hot path makes no object of it.</summary>
internal readonly record struct PutFields(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, bool WantPrevious);
