using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// A group as the layers above hold it: the same one for as long as the table is on this node, although what is behind it is made anew when its state is
/// replaced by a snapshot or its consensus has died. Requests that come in between, and that nothing has happened of, wait for the new one; so does whoever
/// waits for a revision.
/// </summary>
internal sealed class HostedGroup(TableGroup group) : ITableGroup
{
    private volatile TableGroup _current = group;
    private volatile TaskCompletionSource? _swap;

    public TableGroup Current => _current;

    public long GroupId => _current.GroupId;

    public ITableReader Reader => _current.Reader;

    public long Term => _current.Term;

    public long LeaderNodeId => _current.LeaderNodeId;

    public string? Fault => _swap is null ? _current.Fault : "The table's group is being made anew on this node; try again.";

    public GroupStatus Status => _current.Status;

    public async ValueTask<ProposalOutcome> ProposeAsync(TableCommand command, CancellationToken cancellationToken)
    {
        while (true)
        {
            TableGroup seen = _current;
            ProposalOutcome outcome = await seen.ProposeAsync(command, cancellationToken).ConfigureAwait(false);
            // "Stopped" says that nothing happened.
            if (outcome.Failure != GroupFailure.Stopped || !await IsReplacedAsync(seen, cancellationToken).ConfigureAwait(false))
                return outcome;
        }
    }

    public async ValueTask<BarrierOutcome> ReadBarrierAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            TableGroup seen = _current;
            BarrierOutcome outcome = await seen.ReadBarrierAsync(cancellationToken).ConfigureAwait(false);
            if (outcome.Failure != GroupFailure.Stopped || !await IsReplacedAsync(seen, cancellationToken).ConfigureAwait(false))
                return outcome;
        }
    }

    public ValueTask<long?> LedAtAsync(CancellationToken cancellationToken) => _current.LedAtAsync(cancellationToken);

    public ValueTask<string?> MoveLeaderAsync(long nodeId, CancellationToken cancellationToken) => _current.MoveLeaderAsync(nodeId, cancellationToken);

    public async ValueTask WaitForRevisionAsync(long revision, CancellationToken cancellationToken) => await WaitAsync(
        async group =>
        {
            await group.WaitForRevisionAsync(revision, cancellationToken).ConfigureAwait(false);
            return true;
        },
        cancellationToken).ConfigureAwait(false);

    public ValueTask<ExactView?> OpenViewAsync(long revision, CancellationToken cancellationToken) =>
        WaitAsync(group => group.OpenViewAsync(revision, cancellationToken), cancellationToken);

    public ValueTask DisposeAsync() => _current.DisposeAsync();

    /// <summary>Stops the group and puts another one, that <paramref name="make"/> opens, in its place. Not to be called twice at a time.</summary>
    /// <param name="failed">Is told when there is no other one, before those are who wait for it.</param>
    public async Task SwapAsync(Func<Task<TableGroup>> make, Action<Exception> failed)
    {
        TaskCompletionSource swap = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _swap = swap;
        try
        {
            await _current.DisposeAsync().ConfigureAwait(false);
            _current = await make().ConfigureAwait(false);
            _swap = null;
            swap.SetResult();
        }
        catch (Exception e)
        {
            failed(e);
            _swap = null;
            swap.SetException(e);
            // Nobody may be waiting.
            _ = swap.Task.Exception;
            throw;
        }
    }

    private async ValueTask<T> WaitAsync<T>(Func<TableGroup, ValueTask<T>> wait, CancellationToken cancellationToken)
    {
        while (true)
        {
            TableGroup seen = _current;
            try
            {
                return await wait(seen).ConfigureAwait(false);
            }
            catch (ObjectDisposedException) when (_swap is not null || seen != _current)
            {
                // Another one comes or is there: it is asked next. If it does not come, the one that has stopped says so.
            }

            if (_swap is { } swap)
                await swap.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Whether there is another group now in the place of one that has stopped; waits for one that is being made.</summary>
    private async ValueTask<bool> IsReplacedAsync(TableGroup seen, CancellationToken cancellationToken)
    {
        if (_swap is { } swap)
            await swap.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return _current != seen && !cancellationToken.IsCancellationRequested;
    }
}
