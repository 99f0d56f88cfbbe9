using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>
/// A table's history from one revision on, for a follower. Holds a position and the batch that was read last, nothing else: whoever is slow to take a batch keeps nobody waiting, and is sent
/// to a snapshot when the changelog has passed it by. Call behind a read barrier, or a node that lags takes a follower for one that is ahead.
/// </summary>
/// <param name="incarnation">The table's.</param>
/// <param name="batchBytes">About so many bytes of changes go into one <see cref="FeedItem.Commands"/>; a single larger revision goes alone.</param>
public sealed class ChangeFeed(ITableGroup group, Incarnation incarnation, int batchBytes, TimeProvider time)
{
    /// <summary>How often a follower that waits is told that there is nothing new.</summary>
    public static readonly TimeSpan IdleInterval = TimeSpan.FromSeconds(1);

    /// <summary>Reads on until an item that ends the feed, or for ever if <paramref name="follow"/> is set.</summary>
    /// <param name="follow">Wait for further revisions at the end of what there is.</param>
    /// <exception cref="ObjectDisposedException">The table was deleted, or the node stops.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async IAsyncEnumerable<FeedItem> ReadAsync(FeedPosition position, bool follow, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(position.Next, 1, nameof(position));
        if (Refusal(position) is { } refusal)
        {
            yield return refusal;
            yield break;
        }

        long next = position.Next;
        ChainHash? chain = ChainBefore(position);
        Source? source = null;
        bool isTold = false;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            source ??= Source.Open(group, next);
            if (!source.TryRead(batchBytes, out ChangelogRead? read))
            {
                // The state was replaced by a newer one (a snapshot inside the site), which this waits for; or the table is gone.
                source = null;
                if ((await group.ReadBarrierAsync(cancellationToken).ConfigureAwait(false)).Failure == GroupFailure.Stopped)
                    throw new ObjectDisposedException($"group {group.GroupId}", "The table was deleted, or the node stops.");
                continue;
            }

            if (read is ChangelogRead.Records { Items: var records })
            {
                if (chain is { } before && !ChangeCodec.Continues(before, next, records[0].Record))
                {
                    yield return new FeedItem.Diverged(incarnation);
                    yield break;
                }

                chain = null;
                next = records[^1].Revision + 1;
                yield return new FeedItem.Commands([.. records.Select(static record => new RevisedCommand(record.Revision, ChangeCodec.Read(record.Record).ToCommand()))])
                {
                    BytesBehind = source.BytesLeft,
                };
            }
            else if (read is ChangelogRead.Compacted)
            {
                yield return new FeedItem.UseSnapshot { BytesBehind = source.BytesLeft };
                yield break;
            }
            else if (!follow)
            {
                yield return new FeedItem.End();
                yield break;
            }
            else if (!isTold || !await WaitAsync(next, cancellationToken).ConfigureAwait(false))
            {
                isTold = true;
                yield return new FeedItem.End();
            }
        }
    }

    /// <returns>False: the revision did not come for a while.</returns>
    private async Task<bool> WaitAsync(long revision, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(IdleInterval, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await group.WaitForRevisionAsync(revision, either.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>What can be said without the changelog.</summary>
    private FeedItem? Refusal(FeedPosition position)
    {
        if (position.Incarnation is { } known && known != incarnation)
            return new FeedItem.Diverged(incarnation);
        long revision = group.Reader.Revision;
        if (position.Next - 1 > revision)
            return new FeedItem.LeaderBehind();
        // At the end there may be no next revision for long, which would show it.
        bool isDivergent = ChainBefore(position) is { } chain && position.Next > 1 && group.Reader.ReadChain(position.Next - 1) is { Found: true } ours && ours.Chain != chain;
        return isDivergent ? new FeedItem.Diverged(incarnation) : null;
    }

    private ChainHash? ChainBefore(FeedPosition position) =>
        position.Incarnation is null ? null : position.Next == 1 ? ChainHash.Seed(incarnation) : position.Chain;

    /// <summary>The changelog of one state of the table.</summary>
    private sealed class Source(IChangeReader reader)
    {
        public static Source Open(ITableGroup group, long next) => new(group.Reader.OpenChanges(next, withParts: false));

        public long BytesLeft => reader.BytesLeft;

        /// <returns>False: the state was closed.</returns>
        public bool TryRead(int maxBytes, [NotNullWhen(true)] out ChangelogRead? read)
        {
            try
            {
                read = reader.Read(maxBytes);
                return true;
            }
            catch (ObjectDisposedException)
            {
                read = null;
                return false;
            }
        }
    }
}
