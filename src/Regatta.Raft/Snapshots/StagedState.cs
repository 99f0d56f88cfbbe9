using System.Globalization;
using System.IO.Hashing;
using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>A state on this node's disk that may take the place of a table's: whole, checked, synced, and named after the hash of its files.</summary>
internal static class StagedState
{
    public static string NameOf(UInt128 files) => files.ToString("x32");

    /// <summary>The hash over what the files are: the same on all nodes that hold them.</summary>
    public static UInt128 HashOf(SnapshotManifest manifest)
    {
        using MemoryStream bytes = new();
        using BinaryWriter writer = new(bytes);
        // What differs from node to node is left out: the snapshot's id, and the serving node's term.
        (manifest with { Id = Guid.Empty, LeaderTerm = 0 }).WriteTo(writer);
        writer.Flush();
        return XxHash128.HashToUInt128(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }

    /// <summary>The newest state that a table can go on to; null: there is none.</summary>
    public static InstallCommand? Newest(TableGenerations generations, Incarnation incarnation, long revision) => generations.All
        .Where(path => path != generations.Current)
        .Select(Installation)
        .OfType<InstallCommand>()
        .Where(install => install.Advances(incarnation, revision))
        .MaxBy(static install => install.Revision);

    /// <summary>Null: it is damaged, or just being deleted.</summary>
    private static InstallCommand? Installation(string directory)
    {
        if (!UInt128.TryParse(Path.GetFileName(directory), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out UInt128 files))
            return null;
        try
        {
            AppliedState state = TableStore.ReadFlushed(directory);
            return new InstallCommand(state.Incarnation, state.Revision, state.Chain, files);
        }
        catch (StorageCorruptionException)
        {
            return null;
        }
    }
}
