using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Raft;
using Regatta.Storage;

namespace Regatta.Replication;

/// <summary>
/// Brings one table of a follower site up to the leader site's, and keeps it there: asks from the revision behind the applied one on, and proposes what comes to the table's
/// group. It may run on several nodes at a time and be stopped at any moment: a batch applies only to the state that it follows.
/// </summary>
/// <param name="group">The table's group; this node leads it, or did a moment ago.</param>
/// <param name="name">As the leader site knows the table.</param>
/// <param name="incarnation">The table's life.</param>
/// <param name="comparesHistory">False: the leader site that is followed is one of the Go project, which knows of no lives and hashes.</param>
/// <param name="states">Null: there are none; a table that needs one stays where it is and says so.</param>
public sealed partial class TablePuller(
    ITableGroup group, string name, Incarnation incarnation, bool comparesHistory, ILeaderSite site, PullOptions options, Random random, TimeProvider time, ILogger logger,
    IStateSource? states = null)
{
    private volatile Standing _standing = new(PullState.CatchingUp, "", 0, 0, time.GetTimestamp());

    /// <summary>As of now.</summary>
    public PullStatus Status
    {
        get
        {
            Standing standing = _standing;
            bool isBehind = group.Reader.Revision < standing.LeaderRevision;
            return new PullStatus(
                standing.State == PullState.Following && isBehind ? PullState.CatchingUp : standing.State,
                standing.Reason,
                standing.LeaderRevision,
                isBehind ? time.GetElapsedTime(standing.Since) : TimeSpan.Zero,
                isBehind ? standing.Bytes : 0);
        }
    }

    /// <summary>Pulls until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        Backoff backoff = new(options, random);
        while (!cancellationToken.IsCancellationRequested)
        {
            TimeSpan wait;
            try
            {
                wait = await PullAsync(backoff, cancellationToken).ConfigureAwait(false) ?? backoff.Next();
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (LeaderSiteException e) when (e.Failure == LeaderFailure.NoTable && name == LeaderTables.Catalogue)
            {
                Become(PullState.Fenced, "fenced: the leader site there has no catalogue, so it is one of the Go project, and this site has followed one that is not");
                wait = backoff.Next();
            }
            catch (LeaderSiteException e)
            {
                Become(StateOf(e.Failure), e.Message);
                wait = backoff.Next();
            }
            catch (Exception e) when (e is InvalidDataException or StorageException)
            {
                Become(PullState.Refused, e.Message);
                wait = backoff.Next();
            }
            catch (ObjectDisposedException)
            {
                // The table is being deleted, or its state exchanged.
                wait = backoff.Next();
            }

            await PauseAsync(wait, cancellationToken).ConfigureAwait(false);
        }
    }

    private static PullState StateOf(LeaderFailure failure) => failure switch
    {
        LeaderFailure.Unreachable => PullState.LeaderUnreachable,
        LeaderFailure.NoState => PullState.Snapshot,
        _ => PullState.Refused,
    };

    /// <summary>One stream, from its beginning to its end.</summary>
    /// <returns>How long to wait before the next one; null: as after a failure.</returns>
    private async Task<TimeSpan?> PullAsync(Backoff backoff, CancellationToken cancellationToken)
    {
        // What an earlier puller has proposed is applied behind it. Without it the same would be pulled again, and skipped.
        BarrierOutcome barrier = await group.ReadBarrierAsync(cancellationToken).ConfigureAwait(false);
        if (!barrier.Succeeded)
        {
            Become(PullState.CatchingUp, barrier.Reason ?? "");
            return null;
        }

        PulledHistory history = new(incarnation, group.Reader.Revision, options.LargestGap);
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        PullWindow window = new(group, options.WindowBytes, ending, cancellationToken);
        try
        {
            await foreach (PulledItem item in site.PullAsync(name, Position(history.Revision), ending.Token).ConfigureAwait(false))
            {
                if (Met(item, history.Revision) is { } obstacle)
                {
                    bool adopts = IsOrdered(obstacle, history.Revision);
                    if (adopts)
                        obstacle = obstacle with { State = PullState.Snapshot, Reason = $"adopting the leader site's state in place of revision {history.Revision}, which has other changes" };
                    // The revisions of another history say nothing about this one.
                    Become(obstacle, obstacle.State is PullState.Snapshot or PullState.LeaderBehind && !adopts ? item : null);
                    if (obstacle.State != PullState.Snapshot || states is null)
                        return null;
                    await InstallAsync(states, adopts ? history.Revision : null, cancellationToken).ConfigureAwait(false);
                    Agree();
                    backoff.Reset();
                    return TimeSpan.Zero;
                }

                backoff.Reset();
                Agree();
                Hear(item);
                if (item.Item is FeedItem.Commands { Items: var commands } && history.Next(commands) is { } batch)
                    await window.AddAsync(batch, ending.Token).ConfigureAwait(false);
            }

            return options.PollInterval;
        }
        catch (OperationCanceledException) when (window.Failure is not null && !cancellationToken.IsCancellationRequested)
        {
            Become(PullState.CatchingUp, window.Failure);
            return null;
        }
        finally
        {
            await window.DrainAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Ends early when it is cancelled, at once and on the thread that cancels: Task.Delay would go on on one of the pool, and a simulation has one thread.</summary>
    private async Task PauseAsync(TimeSpan wait, CancellationToken cancellationToken)
    {
        TaskCompletionSource over = new();
        using ITimer timer = time.CreateTimer(static over => ((TaskCompletionSource)over!).TrySetResult(), over, wait, Timeout.InfiniteTimeSpan);
        using CancellationTokenRegistration cancelled = cancellationToken.UnsafeRegister(static over => ((TaskCompletionSource)over!).TrySetResult(), over);
        await over.Task.ConfigureAwait(false);
    }

    private FeedPosition Position(long revision)
    {
        // A leader site of the Go project passes over what is said of the history. One of ours would answer to it, and is known by that.
        ChainHash? chain = comparesHistory && revision > 0 && group.Reader.ReadChain(revision) is { Found: true } read ? read.Chain : null;
        return new FeedPosition(revision + 1, incarnation, chain);
    }

    /// <summary>Another state takes the place of the table's.</summary>
    /// <param name="adopts">The revision that an operator has given up for it; null: the table's own history goes on.</param>
    private async Task InstallAsync(IStateSource states, long? adopts, CancellationToken cancellationToken)
    {
        try
        {
            InstallCommand install = await states.StageAsync(group, name, incarnation, cancellationToken).ConfigureAwait(false);
            if (adopts is { } given && given != group.Reader.Revision)
                throw new IOException($"it was to take the place of revision {given}, and the table has gone on");
            ProposalOutcome outcome = await group.ProposeAsync(install, cancellationToken).ConfigureAwait(false);
            if (outcome.Result is not ReplicatedResult)
                throw new IOException(outcome.Reason ?? "the installation was not proposed");
            LogInstalled(name, group.GroupId, install.Revision);
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            throw new LeaderSiteException(LeaderFailure.NoState, $"the table needs a whole state and does not get one: {e.Message}", e);
        }
    }

    /// <summary>The stream is open, and the leader site stands there: it begins behind a read barrier, so a revision that was heard of before and is not there now is gone.</summary>
    private void Hear(PulledItem item)
    {
        Standing before = _standing;
        bool hadAll = group.Reader.Revision >= before.LeaderRevision;
        _standing = new Standing(PullState.Following, "", item.LeaderRevision, item.Item.BytesBehind, hadAll ? time.GetTimestamp() : before.Since);
        if (before.Reason.Length > 0)
            LogFollows(name, group.GroupId);
    }

    private void Become(PullState state, string reason) => Become(new Obstacle(state, reason), heard: null);

    private void Become(Obstacle obstacle, PulledItem? heard)
    {
        (PullState state, string reason, _) = obstacle;
        Standing before = _standing;
        // Also back: a leader site that was set back is where it says it is.
        _standing = heard is { LeaderRevision: > 0 } item
            ? new Standing(state, reason, item.LeaderRevision, item.Item.BytesBehind, before.Since)
            : before with { State = state, Reason = reason };
        if (before.Reason != reason && reason.Length > 0)
            LogWaits(name, group.GroupId, state, reason);
    }

    /// <param name="Bytes">That the leader site had behind what it sent last.</param>
    /// <param name="Since">When the oldest revision was heard of that was not applied then.</param>
    private sealed record Standing(PullState State, string Reason, long LeaderRevision, long Bytes, long Since);

    [LoggerMessage(LogLevel.Information, "Table {Table} (group {GroupId}) has got a whole state of the leader site, at revision {Revision}.")]
    private partial void LogInstalled(string table, long groupId, long revision);

    [LoggerMessage(LogLevel.Information, "Table {Table} (group {GroupId}) follows the leader site again.")]
    private partial void LogFollows(string table, long groupId);

    [LoggerMessage(LogLevel.Warning, "Table {Table} (group {GroupId}) does not follow the leader site at the moment ({State}): {Reason}")]
    private partial void LogWaits(string table, long groupId, PullState state, string reason);
}
