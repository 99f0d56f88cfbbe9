using System.Collections.Immutable;
using Regatta.Core;

namespace Regatta.Replication;

/// <summary>
/// Puts what a leader site sends into batches, each directly behind the one before. A leader site of ours sends every revision; one of the Go project may leave some out,
/// which then change nothing. Not thread-safe.
/// </summary>
/// <param name="revision">The table's before the first batch.</param>
/// <param name="largestGap">The most revisions that may be left out at a time.</param>
internal sealed class PulledHistory(Incarnation incarnation, long revision, int largestGap)
{
    /// <summary>The revision behind the last batch.</summary>
    public long Revision { get; private set; } = revision;

    /// <summary>The batch of some commands; null: it has none that is new.</summary>
    /// <exception cref="InvalidDataException">The revisions do not ascend, or too many are left out.</exception>
    public ReplicatedBatch? Next(ImmutableArray<RevisedCommand> items)
    {
        ImmutableArray<TableCommand>.Builder commands = ImmutableArray.CreateBuilder<TableCommand>(items.Length);
        long before = Revision;
        long previous = 0;
        foreach (RevisedCommand item in items)
        {
            if (item.Revision <= previous)
                throw new InvalidDataException($"the leader site sent revision {item.Revision} behind revision {previous}");
            previous = item.Revision;
            if (item.Revision <= Revision)
                continue;
            Fill(commands, item.Revision - 1);
            commands.Add(item.Command);
            Revision = item.Revision;
        }

        return commands.Count == 0 ? null : new ReplicatedBatch(incarnation, before, commands.DrainToImmutable());
    }

    private void Fill(ImmutableArray<TableCommand>.Builder commands, long last)
    {
        if (last - Revision > largestGap)
            throw new InvalidDataException($"the leader site left out {last - Revision} revisions behind {Revision}; at most {largestGap} can be filled");
        for (; Revision < last; Revision++)
            commands.Add(new DummyCommand());
    }
}
