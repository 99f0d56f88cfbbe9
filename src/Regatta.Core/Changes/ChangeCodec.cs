using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>
/// The bytes of the changelog. Of each revision, part 0 is
/// <code>
/// [format 2] [chain hash, 16 bytes] then one after the other, to the end:
///   put          1 [key] [value] [create revision] [version] and, of a version above 1, [mod revision of what it replaced]
///   delete       2 [key] [mod revision of what was deleted]
///   delete range 3 [range] [number of keys removed]
/// </code>
/// and the parts from 1 up hold the keys that range deletes removed: <c>[format 2] [position of the change] [key] [its mod revision] [key] [its mod revision] ...</c>.
/// Lengths and numbers are varints; ranges as in Raft entries.
/// </summary>
/// <remarks>Reading makes slices of the record. Whatever is cut off, garbled or of an unknown format is an <see cref="InvalidDataException"/>.</remarks>
public static class ChangeCodec
{
    internal const byte Format = 2;
    internal const int HeaderBytes = 1 + ChainHash.Bytes;

    internal const byte Put = 1;
    internal const byte Delete = 2;
    internal const byte DeleteRange = 3;

    /// <summary>Reads part 0 of a revision.</summary>
    public static ChangeRecord Read(ReadOnlyMemory<byte> record)
    {
        ByteReader reader = Open(record, "Changelog record");
        ChainHash chain = ChainHash.ReadFrom(reader.Fixed(ChainHash.Bytes));
        var changes = ImmutableArray.CreateBuilder<Change>();
        while (reader.Remaining > 0)
            changes.Add(ReadChange(ref reader));
        return new ChangeRecord(chain, changes.DrainToImmutable());
    }

    /// <summary>Reads a part from 1 up.</summary>
    public static RemovedKeys ReadRemovedKeys(ReadOnlyMemory<byte> part)
    {
        ByteReader reader = Open(part, "Changelog part");
        ulong position = reader.Varint();
        if (position > int.MaxValue)
            throw reader.Corrupt("the position of the change is out of range");
        var keys = ImmutableArray.CreateBuilder<RemovedKey>();
        while (reader.Remaining > 0)
            keys.Add(new RemovedKey(reader.Bytes(), reader.Natural()));
        return new RemovedKeys((int)position, keys.DrainToImmutable());
    }

    /// <summary>The chain hash of part 0 alone: cheaper than <see cref="Read"/>.</summary>
    public static ChainHash ReadChain(ReadOnlyMemory<byte> record) =>
        ChainHash.ReadFrom(Open(record, "Changelog record").Fixed(ChainHash.Bytes));

    /// <summary>Whether part 0 of <paramref name="revision"/> continues the history that ends in <paramref name="previous"/>.</summary>
    public static bool Continues(ChainHash previous, long revision, ReadOnlyMemory<byte> record) =>
        ReadChain(record) == ChainHash.Next(previous, revision, record.Span[HeaderBytes..]);

    private static ByteReader Open(ReadOnlyMemory<byte> source, string what)
    {
        var reader = new ByteReader(source, what);
        byte format = reader.Byte();
        return format == Format ? reader : throw reader.Corrupt($"format {format} is unknown; a newer version may have written it");
    }

    private static Change ReadChange(ref ByteReader reader)
    {
        byte kind = reader.Byte();
        return kind switch
        {
            Put => ReadPut(ref reader),
            Delete => new Change.Delete(reader.Bytes(), reader.Natural()),
            DeleteRange => new Change.DeleteRange(KeyRangeEncoding.Read(ref reader), reader.Natural()),
            _ => throw reader.Corrupt($"unknown kind of change {kind}; a newer version may have written it"),
        };
    }

    private static Change.Put ReadPut(ref ByteReader reader)
    {
        ReadOnlyMemory<byte> key = reader.Bytes();
        ReadOnlyMemory<byte> value = reader.Bytes();
        long created = reader.Natural();
        long version = reader.Natural();
        return new Change.Put(key, value, created, version, version > 1 ? reader.Natural() : 0);
    }
}
