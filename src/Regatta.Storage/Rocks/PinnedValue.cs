using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>A value where it lies in a block or write buffer. Valid until disposed; the database must stay open meanwhile.</summary>
internal readonly unsafe ref struct PinnedValue
{
    private readonly nint _slice;

    internal PinnedValue(nint slice)
    {
        _slice = slice;
        if (slice == 0) return;
        nint start = Native.Instance.rocksdb_pinnableslice_value(slice, out nuint length);
        Bytes = new ReadOnlySpan<byte>((void*)start, checked((int)length));
    }

    internal bool Found => _slice != 0;

    internal ReadOnlySpan<byte> Bytes { get; }

    public void Dispose()
    {
        if (_slice != 0) Native.Instance.rocksdb_pinnableslice_destroy(_slice);
    }
}
