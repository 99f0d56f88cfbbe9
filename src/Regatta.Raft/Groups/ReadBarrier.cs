namespace Regatta.Raft;

/// <summary>
/// Shares rounds of leadership confirmation among those who want a linearizable read. A round speaks only for those who asked before
/// it began: whoever comes while one runs waits for the next, together with all others who come meanwhile. Thread-safe.
/// </summary>
/// <param name="round">Confirms leadership and waits until everything committed before its start is applied here.</param>
internal sealed class ReadBarrier(Func<Task<BarrierOutcome>> round)
{
    private readonly Lock _gate = new();
    private bool _isRunning;
    private TaskCompletionSource<BarrierOutcome>? _next;

    public async ValueTask<BarrierOutcome> WaitAsync(CancellationToken cancellationToken)
    {
        Task<BarrierOutcome> mine;
        bool start;
        lock (_gate)
        {
            _next ??= new TaskCompletionSource<BarrierOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
            mine = _next.Task;
            start = !_isRunning;
            _isRunning = true;
        }

        if (start)
            _ = RunAsync();
        try
        {
            return await mine.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return new BarrierOutcome(GroupFailure.Cancelled, "The call was cancelled before leadership was confirmed.");
        }
    }

    /// <summary>One round after the other while somebody waits. Never fails: a round's failure is its outcome.</summary>
    private async Task RunAsync()
    {
        while (true)
        {
            TaskCompletionSource<BarrierOutcome> waiting;
            lock (_gate)
            {
                if (_next is null)
                {
                    _isRunning = false;
                    return;
                }

                waiting = _next;
                _next = null;
            }

            RaftMetrics.ReadBarriers.Add(1);
            BarrierOutcome outcome;
            try
            {
                outcome = await round().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                outcome = new BarrierOutcome(GroupFailure.NoLeader, $"Leadership could not be confirmed: {e.Message}");
            }

            waiting.SetResult(outcome);
        }
    }
}
