using System.Buffers.Binary;
using System.IO.Compression;
using Google.Protobuf;
using Regatta.Core;
using Regatta.Protocol.Mvcc;
using Snappier;

namespace Regatta.Replication;

/// <summary>
/// A view of a table in the form of Snapshot.Stream: a framed snappy stream of records, each a length and a command. A PUT for every key, in order, then a DUMMY with the
/// revision: without it the reader cannot tell whether it has all. Not thread-safe; the view stays the caller's.
/// </summary>
public sealed class SnapshotWriter : IDisposable
{
    private readonly ByteString _table;
    private readonly ITableView _view;
    private readonly ITableCursor _cursor;
    private readonly MemoryStream _compressed = new();
    private readonly SnappyStream _snappy;
    private byte[] _record = new byte[4096];
    private bool _isWhole;

    public SnapshotWriter(ByteString table, ITableView view)
    {
        _table = table;
        _view = view;
        _cursor = view.Scan(KeyRange.From(default));
        _snappy = new SnappyStream(_compressed, CompressionMode.Compress, leaveOpen: true);
    }

    /// <summary>The next bytes, at least so many unless it is the rest.</summary>
    /// <param name="bytes">Valid until the next call.</param>
    /// <returns>False: all was read.</returns>
    public bool TryRead(int leastBytes, out ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _compressed.SetLength(0);
        while (!_isWhole && _compressed.Length < leastBytes)
        {
            cancellationToken.ThrowIfCancellationRequested();
            WriteNext();
        }

        bytes = _compressed.GetBuffer().AsMemory(0, (int)_compressed.Length);
        return bytes.Length > 0;
    }

    public void Dispose()
    {
        _snappy.Dispose();
        _cursor.Dispose();
    }

    private void WriteNext()
    {
        if (_cursor.MoveNext())
        {
            Write(new Command
            {
                Table = _table,
                Type = Command.Types.CommandType.Put,
                Kv = new KeyValue { Key = ByteString.CopyFrom(_cursor.Key), Value = ByteString.CopyFrom(_cursor.Value) },
            });
            return;
        }

        Write(new Command { Table = _table, Type = Command.Types.CommandType.Dummy, LeaderIndex = (ulong)_view.Revision });
        _snappy.Flush();
        _isWhole = true;
    }

    private void Write(Command command)
    {
        int length = command.CalculateSize();
        int whole = sizeof(ulong) + length;
        if (_record.Length < whole)
            _record = new byte[whole * 2];
        BinaryPrimitives.WriteUInt64LittleEndian(_record, (ulong)length);
        command.WriteTo(_record.AsSpan(sizeof(ulong), length));
        _snappy.Write(_record.AsSpan(0, whole));
    }
}
