using System.IO.Hashing;

namespace Regatta.Core;

/// <summary>Keys as dictionary keys, looked up by span without a copy.</summary>
public sealed class KeyComparer : IEqualityComparer<ReadOnlyMemory<byte>>, IAlternateEqualityComparer<ReadOnlySpan<byte>, ReadOnlyMemory<byte>>
{
    public static readonly KeyComparer Instance = new();

    /// <summary>
    /// Differs from process to process, so that no client can choose keys that collide. Nothing that is stored or answered depends on it.
    /// </summary>
    private readonly long _seed = HashCode.Combine(typeof(KeyComparer));

    public bool Equals(ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y) => x.Span.SequenceEqual(y.Span);

    public int GetHashCode(ReadOnlyMemory<byte> key) => GetHashCode(key.Span);

    public bool Equals(ReadOnlySpan<byte> alternate, ReadOnlyMemory<byte> other) => alternate.SequenceEqual(other.Span);

    public int GetHashCode(ReadOnlySpan<byte> alternate) => (int)XxHash3.HashToUInt64(alternate, _seed);

    public ReadOnlyMemory<byte> Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
}
