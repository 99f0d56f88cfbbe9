using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>
/// Batches on their way into the follower's log: one, and behind it what comes meanwhile, which goes together when that one is applied. Not before: a batch says by its revision alone which state
/// it follows, and another puller, from a leader site that was set back and has written on, may have brought the table to that revision in another way. Behind a batch that fails none is proposed.
/// Used by one puller.
/// </summary>
/// <param name="mostBytes">About so many bytes of commands wait; a single larger batch waits alone.</param>
/// <param name="failed">Cancelled with the first failure.</param>
/// <param name="stopping">Nobody waits for outcomes any more.</param>
internal sealed class PullWindow(ITableGroup group, long mostBytes, CancellationTokenSource failed, CancellationToken stopping)
{
    private readonly Lock _gate = new();
    private readonly List<ReplicatedBatch> _waiting = [];
    private long _waitingBytes;
    private TaskCompletionSource? _room;
    private bool _isProposing;
    private Task _proposing = Task.CompletedTask;
    private volatile string? _failure;

    /// <summary>Why a batch was not applied; null while none has failed.</summary>
    public string? Failure => _failure;

    /// <summary>Takes a batch that follows the one before; waits for room.</summary>
    /// <exception cref="OperationCanceledException">Cancelled, or a batch has failed.</exception>
    public async Task AddAsync(ReplicatedBatch batch, CancellationToken cancellationToken)
    {
        long bytes = EntryWriter.Measure(batch);
        // Who stops ends the proposal, and so the wait. No semaphore: it would wake this on a thread of the pool, and a simulation has one thread.
        while (NoRoom(bytes) is { } room)
            await room.ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        if (Add(batch, bytes))
            _proposing = ProposeAsync();
    }

    /// <summary>Completes when every batch has its outcome, or one has failed.</summary>
    public Task DrainAsync() => _proposing;

    /// <returns>Null: there is room. Else it completes when it is worth another look.</returns>
    private Task? NoRoom(long bytes)
    {
        lock (_gate)
        {
            if (_failure is not null || _waiting.Count == 0 || _waitingBytes + bytes <= mostBytes)
                return null;
            _room ??= new TaskCompletionSource();
            return _room.Task;
        }
    }

    /// <returns>Nothing is on its way.</returns>
    private bool Add(ReplicatedBatch batch, long bytes)
    {
        lock (_gate)
        {
            _waiting.Add(batch);
            _waitingBytes += bytes;
            bool begins = !_isProposing;
            _isProposing = true;
            return begins;
        }
    }

    private async Task ProposeAsync()
    {
        while (Take() is { } batch)
        {
            try
            {
                ValueTask<ProposalOutcome> proposal = group.ProposeAsync(batch, stopping);
                MakeRoom();
                ProposalOutcome outcome = await proposal.ConfigureAwait(false);
#if DEBUG
                if (DebugBugs.Current == DebugBug.BatchAppliedTwice && outcome.Failure == GroupFailure.Unknown)
                    outcome = await group.ProposeAsync(batch, CancellationToken.None).ConfigureAwait(false);
#endif
                if (outcome.Result is not ReplicatedResult { IsApplied: true })
                    Fail(outcome.Reason ?? $"The table stands at revision {outcome.Result?.Revision} and not at {batch.Before}.");
            }
            catch (Exception e)
            {
                Fail(e.Message);
            }
        }
    }

    /// <summary>All that waits, as one batch; null: nothing does, or one has failed.</summary>
    private ReplicatedBatch? Take()
    {
        lock (_gate)
        {
            if (_failure is not null || _waiting.Count == 0)
            {
                _isProposing = false;
                return null;
            }

            ReplicatedBatch first = _waiting[0];
            ReplicatedBatch all = _waiting.Count == 1 ? first : first with { Commands = [.. _waiting.SelectMany(static batch => batch.Commands)] };
            _waiting.Clear();
            _waitingBytes = 0;
            return all;
        }
    }

    private void MakeRoom()
    {
        TaskCompletionSource? room;
        lock (_gate)
        {
            room = _room;
            _room = null;
        }

        room?.SetResult();
    }

    private void Fail(string reason)
    {
        _failure = reason;
        failed.Cancel();
        MakeRoom();
    }
}
