using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>
/// Batches on their way into the follower's log: a few at a time, in order. Those behind one that fails fail, too, because they do not follow the table's state any
/// more. Used by one puller.
/// </summary>
/// <param name="failed">Cancelled with the first failure.</param>
/// <param name="stopping">Nobody waits for outcomes any more.</param>
internal sealed class PullWindow(ITableGroup group, int size, CancellationTokenSource failed, CancellationToken stopping) : IDisposable
{
    private readonly SemaphoreSlim _room = new(size);
    private readonly int _size = size;
    private volatile string? _failure;

    /// <summary>Why a batch was not applied; null while none has failed.</summary>
    public string? Failure => _failure;

    /// <summary>Proposes a batch; waits for room before.</summary>
    public async Task AddAsync(ReplicatedBatch batch, CancellationToken cancellationToken)
    {
        await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
        // The call is made here, in order; only its outcome is waited for elsewhere.
        _ = SettleAsync(group.ProposeAsync(batch, stopping), batch);
    }

    /// <summary>Completes when every batch has its outcome.</summary>
    public async Task DrainAsync()
    {
        for (int i = 0; i < _size; i++)
            await _room.WaitAsync().ConfigureAwait(false);
        _room.Release(_size);
    }

    public void Dispose() => _room.Dispose();

    private async Task SettleAsync(ValueTask<ProposalOutcome> proposal, ReplicatedBatch batch)
    {
        try
        {
            ProposalOutcome outcome = await proposal.ConfigureAwait(false);
            if (outcome.Result is not ReplicatedResult { IsApplied: true } result)
                Fail(outcome.Reason ?? $"The table stands at revision {outcome.Result?.Revision} and not at {batch.Before}.");
        }
        catch (Exception e)
        {
            Fail(e.Message);
        }
        finally
        {
            _room.Release();
        }
    }

    private void Fail(string reason)
    {
        if (Interlocked.CompareExchange(ref _failure, reason, null) is null)
            failed.Cancel();
    }
}
