using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;
using System.Text;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>
/// The tables that a node serves at one moment. Found by the bytes of their names as requests carry them, so that a lookup makes no string. Immutable.
/// </summary>
internal sealed class TableSnapshot
{
    private readonly FrozenDictionary<byte[], ServedTable>.AlternateLookup<ReadOnlySpan<byte>> _byName;

    private readonly FrozenDictionary<byte[], Rejection>.AlternateLookup<ReadOnlySpan<byte>> _faults;

    /// <param name="faults">Name and sentence of the tables that are in the catalogue and cannot be served.</param>
    public TableSnapshot(IEnumerable<ServedTable> tables, IReadOnlyDictionary<string, string> faults)
    {
        Faults = faults;
        _faults = faults.ToFrozenDictionary(
            fault => Encoding.UTF8.GetBytes(fault.Key), fault => new Rejection(StatusCode.DataLoss, fault.Value), NameComparer.Instance)
            .GetAlternateLookup<ReadOnlySpan<byte>>();
        Tables = [.. tables.OrderBy(table => table.Name, StringComparer.Ordinal)];
        _byName = Tables.ToFrozenDictionary(table => Encoding.UTF8.GetBytes(table.Name), NameComparer.Instance).GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    public static TableSnapshot Empty { get; } = new([], FrozenDictionary<string, string>.Empty);

    /// <summary>Sorted by name.</summary>
    public IReadOnlyList<ServedTable> Tables { get; }

    /// <summary>Tables out of order, with the reason.</summary>
    public IReadOnlyDictionary<string, string> Faults { get; }

    public Rejection? Fault(ReadOnlySpan<byte> name) => _faults.TryGetValue(name, out Rejection? fault) ? fault : null;

    public bool TryGet(ReadOnlySpan<byte> name, [NotNullWhen(true)] out ServedTable? table) => _byName.TryGetValue(name, out table);

    public ServedTable? Find(string name) => TryGet(Encoding.UTF8.GetBytes(name), out ServedTable? table) ? table : null;

    private sealed class NameComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static readonly NameComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> alternate) => (int)XxHash3.HashToUInt64(alternate);
    }
}
