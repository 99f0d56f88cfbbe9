using System.Numerics;

namespace Regatta.Core;

/// <summary>How long the parts of a record are once they are written.</summary>
internal static class Sizes
{
    public static int Varint(ulong value) => (BitOperations.Log2(value | 1) / 7) + 1;

    public static int Signed(long value) => Varint(ZigZag(value));

    public static int Bytes(ReadOnlyMemory<byte> value) => Varint((uint)value.Length) + value.Length;

    /// <summary>Small negative numbers become small numbers too.</summary>
    public static ulong ZigZag(long value) => (ulong)((value << 1) ^ (value >> 63));

    public static long UnZigZag(ulong value) => (long)(value >> 1) ^ -(long)(value & 1);
}
