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

    /// <summary>The installation of a staged state.</summary>
    public static InstallCommand Installation(string directory) => TableStore.ReadFlushed(directory) is var state && UInt128.TryParse(
        Path.GetFileName(directory), System.Globalization.NumberStyles.AllowHexSpecifier, null, out UInt128 files)
            ? new InstallCommand(state.Incarnation, state.Revision, state.Chain, files)
            : throw new InvalidDataException($"'{directory}' is not named after the hash of its files.");

    /// <summary>The newest state that a table can go on to; null: there is none.</summary>
    public static InstallCommand? Newest(TableGenerations generations, Incarnation incarnation, long revision) => generations.All
        .Where(path => path != generations.Current)
        .Select(Installation)
        .Where(install => install.Advances(incarnation, revision))
        .MaxBy(static install => install.Revision);
}
