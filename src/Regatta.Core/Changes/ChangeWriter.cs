using System.Buffers.Binary;
using System.IO.Hashing;

namespace Regatta.Core;

/// <summary>Writes the changelog record of the command that is being applied, and links it into the chain. Used again for each command.</summary>
internal sealed class ChangeWriter
{
    /// <summary>Removed keys go into parts of about this size: a delete of a whole table must not make one record as large as all its keys.</summary>
    public const int PartBytes = 64 << 10;

    // The chain hash goes over [previous hash][revision][operations], the record is [format][hash][operations]: in one buffer, with the
    // operations in their place from the start, both are single pieces and nothing is copied.
    private const int HashedHead = ChainHash.Bytes + sizeof(long);
    private const int RecordStart = HashedHead - ChangeCodec.HeaderBytes;

    private readonly ByteWriter _record = new(8192);
    private readonly ByteWriter _removed = new(1024);
    private int _changes;
    private int _parts;

    public void Begin(ChainHash previous, long revision)
    {
        _record.Reset();
        _changes = 0;
        _parts = 0;
        Span<byte> head = _record.Take(HashedHead);
        previous.WriteTo(head);
        BinaryPrimitives.WriteInt64LittleEndian(head[ChainHash.Bytes..], revision);
    }

    /// <param name="replaced">Mod revision of what was there before.</param>
    public void Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, in RecordHeader header, long replaced)
    {
        _record.Byte(ChangeCodec.Put);
        _record.Bytes(key.Span);
        _record.Bytes(value.Span);
        _record.Varint((ulong)header.CreateRevision);
        _record.Varint((ulong)header.Version);
        if (header.Version > 1)
            _record.Varint((ulong)replaced);
        _changes++;
    }

    /// <param name="replaced">Mod revision of what was there.</param>
    public void Delete(ReadOnlyMemory<byte> key, long replaced)
    {
        _record.Byte(ChangeCodec.Delete);
        _record.Bytes(key.Span);
        _record.Varint((ulong)replaced);
        _changes++;
    }

    /// <summary>A key that the range delete to come removes; a full part goes into the batch.</summary>
    /// <param name="replaced">Mod revision of what was there.</param>
    public void Removed(ReadOnlySpan<byte> key, long replaced, ITableBatch batch, long revision)
    {
        if (_removed.Length == 0)
        {
            _removed.Byte(ChangeCodec.Format);
            _removed.Varint((uint)_changes);
        }

        _removed.Bytes(key);
        _removed.Varint((ulong)replaced);
        if (_removed.Length >= PartBytes)
            AppendPart(batch, revision);
    }

    /// <summary>The range delete whose keys were given to <see cref="Removed"/>.</summary>
    public void DeleteRange(KeyRange range, long removed, ITableBatch batch, long revision)
    {
        if (_removed.Length > 0)
            AppendPart(batch, revision);
        _record.Byte(ChangeCodec.DeleteRange);
        KeyRangeEncoding.Write(_record, range);
        _record.Varint((ulong)removed);
        _changes++;
    }

    /// <summary>Puts the record into the batch and returns the chain's new end.</summary>
    public ChainHash End(ITableBatch batch, long revision)
    {
        var chain = new ChainHash(XxHash128.HashToUInt128(_record.Written));
        Span<byte> header = _record.Patch(RecordStart, ChangeCodec.HeaderBytes);
        header[0] = ChangeCodec.Format;
        chain.WriteTo(header[1..]);
        batch.AppendChange(revision, 0, _record.Written[RecordStart..]);
        return chain;
    }

    private void AppendPart(ITableBatch batch, long revision)
    {
        batch.AppendChange(revision, ++_parts, _removed.Written);
        _removed.Reset();
    }
}
