using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// <c>FLUSHED</c>, beside a table's RocksDB files: the state that is on disk at least. RocksDB takes a manifest whose end is
/// damaged in the wrong place for one that a crash cut short, and opens an older state; the log behind it may be cut by then. Everything that
/// this store ever called flushed is written here first, so that such a state is refused.
/// </summary>
internal static class FlushedFile
{
    private const string Name = "FLUSHED";

    internal static void Write(string directory, in AppliedState state)
    {
        Span<byte> record = stackalloc byte[AppliedRecord.Bytes];
        AppliedRecord.Encode(record, state);
        DurableFile.Replace(Path.Combine(directory, Name), record);
    }

    /// <exception cref="StorageCorruptionException">The file is missing or damaged.</exception>
    internal static AppliedState Read(string directory)
    {
        string path = Path.Combine(directory, Name);
        if (!File.Exists(path)) throw RocksError.Corrupt(directory, $"the file {Name} is missing");
        if (!AppliedRecord.TryDecode(File.ReadAllBytes(path), out AppliedState state))
            throw RocksError.Corrupt(directory, $"the file {Name} is damaged, or was written by a newer version");
        return state;
    }

    /// <summary>Refuses a state that is older than, or not a successor of, what was flushed.</summary>
    internal static void Verify(string directory, in AppliedState flushed, in AppliedState found)
    {
        bool reached = found.Index >= flushed.Index && found.Term >= flushed.Term && found.Revision >= flushed.Revision;
        bool same = found.Index != flushed.Index || found == flushed;
        if (!reached || !same || found.Incarnation != flushed.Incarnation)
            throw RocksError.Corrupt(directory, $"the files hold {found}, but {flushed} had been flushed: a MANIFEST or table file has lost what was in it");
    }
}
