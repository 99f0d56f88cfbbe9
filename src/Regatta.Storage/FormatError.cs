using Regatta.Storage.Rocks;

namespace Regatta.Storage;

internal static class FormatError
{
    internal static StorageCorruptionException Of(string directory, string family, ReadOnlySpan<byte> key, string what)
    {
        const int Shown = 64;
        string hex = Convert.ToHexStringLower(key[..Math.Min(key.Length, Shown)]) + (key.Length > Shown ? "..." : "");
        return RocksError.Corrupt(directory, $"the record of {family} key 0x{hex} {what}");
    }
}
