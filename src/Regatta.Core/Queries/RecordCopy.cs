namespace Regatta.Core;

/// <summary>A record that may outlive cursor, view and entry. Key and value share one array.</summary>
internal static class RecordCopy
{
    public static KeyRecord Of(ReadOnlySpan<byte> key, in RecordHeader header, ReadOnlySpan<byte> value)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(key.Length + value.Length);
        key.CopyTo(bytes);
        value.CopyTo(bytes.AsSpan(key.Length));
        return new KeyRecord(bytes.AsMemory(0, key.Length), header, bytes.AsMemory(key.Length));
    }
}
