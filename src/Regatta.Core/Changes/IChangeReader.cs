using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>Reads a table's changelog in revision order, a bounded piece at a time; holds nothing between two reads. Not thread-safe.</summary>
public interface IChangeReader
{
    /// <summary>About how many bytes of changelog come from the next record on, those included that are not there any more; 0 at the end.</summary>
    long BytesLeft { get; }

    /// <summary>The next records, at least one if there is one, and as many more as fit into <paramref name="maxBytes"/> of records.</summary>
    /// <exception cref="ObjectDisposedException">The state behind it was closed.</exception>
    ChangelogRead Read(int maxBytes);
}

/// <summary>One record of the changelog, as <see cref="ChangeCodec"/> encoded it.</summary>
/// <param name="Part">0: the effects of the revision; from 1 up: the keys that its range deletes removed.</param>
public readonly record struct StoredChange(long Revision, int Part, ReadOnlyMemory<byte> Record);

/// <summary>What a reader gets.</summary>
public abstract record ChangelogRead
{
    private ChangelogRead() { }

    /// <summary>At least one record, in order, without a gap to what was read before.</summary>
    public sealed record Records(ImmutableArray<StoredChange> Items) : ChangelogRead;

    /// <summary>Everything up to the store's revision has been read; there is more when it grows.</summary>
    public sealed record CaughtUp : ChangelogRead;

    /// <summary>The next revision is not here any more: take a snapshot, or begin at <paramref name="Oldest"/> or later.</summary>
    public sealed record Compacted(long Oldest) : ChangelogRead;
}
