using Regatta.Core;

namespace Regatta.Raft;

/// <summary>
/// Turns callers into entries: one entry is on its way into the log, whatever arrives meanwhile becomes the next. A sync costs the same for one
/// command and for a thousand, so this is where the speed comes from. Commands stay independent of each other. The next entry
/// may go once this one is committed: it is synced while this one is applied. Thread-safe.
/// </summary>
internal sealed class Batcher : IThreadPoolWorkItem
{
    private readonly GroupOptions _options;
    private readonly Func<ReadOnlyMemory<byte>, ProposalBatch, Task> _propose;
    private readonly Func<ProposalOutcome?> _refuse;
    private readonly Action _idle;
    private readonly Gathering _gathering;
    private readonly Lock _gate = new();
    private readonly Queue<Proposal> _room = new();
    private readonly EntryWriter _writer = new();
    private readonly List<Proposal> _taken = [];
    private readonly List<Task> _proposed = [];

    /// <summary>Turns that have taken callers whose entry is not among <see cref="_proposed"/> yet. One may begin before the one before has noted its entry.</summary>
    private int _making;
    private TaskCompletionSource? _made;
    private int _waiting;
    private long _waitingBytes;
    private bool _isBusy;
    private bool _isHeld;
    private ProposalOutcome? _closed;

    /// <param name="propose">Hands an entry to the log and completes when it is applied, or with a failure.</param>
    /// <param name="refuse">Why nothing may be proposed at the moment (no room on the disk, say); null: go ahead.</param>
    /// <param name="idle">An entry is committed, and the next one does not go at once.</param>
    public Batcher(GroupOptions options, TimeProvider time, Func<ReadOnlyMemory<byte>, ProposalBatch, Task> propose, Func<ProposalOutcome?> refuse, Action idle)
    {
        _options = options;
        _propose = propose;
        _refuse = refuse;
        _idle = idle;
        _gathering = new Gathering(time, OnGathered);
    }

    /// <summary>Callers that have no outcome yet.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
                return _waiting;
        }
    }

    /// <summary>Objects in the waiting room, those of callers who have cancelled included.</summary>
    internal int QueueLength
    {
        get
        {
            lock (_gate)
                return _room.Count;
        }
    }

    /// <summary>The next entry waits for callers who may be about to come back.</summary>
    internal bool IsGathering
    {
        get
        {
            lock (_gate)
                return _gathering.IsOn;
        }
    }

    public ValueTask<ProposalOutcome> ProposeAsync(TableCommand command, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return Failed(GroupFailure.Cancelled, "The call was cancelled before anything happened.");
        if (_refuse() is { } refusal)
            return Refused(refusal);
        Proposal proposal = Proposal.Rent(this, command, EntryWriter.Measure(command));
        bool start;
        lock (_gate)
        {
            if (_closed is { } closed)
                return Refused(closed);
            if (_waiting >= _options.MaxWaiting || (_waiting > 0 && _waitingBytes + proposal.Bytes > _options.MaxWaitingBytes))
                return Failed(GroupFailure.Overloaded, "Too many writes wait for this table; nothing happened, try again later.");
            if (_room.Count >= 2 * _options.MaxWaiting)
                ForgetCancelled();
            _waiting++;
            _waitingBytes += proposal.Bytes;
            _room.Enqueue(proposal);
            start = (!_isBusy && !_isHeld) || _gathering.IsComplete(_room.Count);
            _isBusy |= start;
        }

        ValueTask<ProposalOutcome> outcome = proposal.Outcome;
        proposal.Watch(cancellationToken);
        if (start)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        return outcome;
    }

    /// <summary>Before it is in an entry a command is taken back; after that its fate is the log's and the caller is told so.</summary>
    public void Cancel(Proposal proposal)
    {
        bool untouched;
        lock (_gate)
        {
            if (proposal.Stage == ProposalStage.Done)
                return;
            if (proposal.Stage == ProposalStage.Encoding)
            {
                proposal.CancelRequested = true;
                return;
            }

            untouched = proposal.Stage == ProposalStage.Waiting;
            Finish(proposal);
        }

        proposal.Complete(untouched ? Taken() : Unknown());
    }

    /// <summary>Gives those callers their outcome who have none yet: their result, or the failure.</summary>
    public void Settle(ReadOnlySpan<Proposal> callers, GroupFailure failure, string? reason)
    {
        List<Proposal> due = new(callers.Length);
        lock (_gate)
        {
            foreach (Proposal proposal in callers)
            {
                if (proposal.Stage == ProposalStage.Done)
                    continue;
                Finish(proposal);
                due.Add(proposal);
            }
        }

        foreach (Proposal proposal in due)
            proposal.Complete(new ProposalOutcome(failure == GroupFailure.None ? proposal.Result : null, failure, reason));
    }

    /// <summary>An entry is committed, or will never be: the next one may go.</summary>
    public void FreeSlot()
    {
        bool go;
        lock (_gate)
        {
            bool gathers = !_isHeld && _closed is null && _gathering.Begin(_waiting, _room.Count);
            go = !gathers && !_isHeld && _room.Count > 0;
            _isBusy = gathers || go;
        }

        if (go)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
        else
            _idle();
    }

    /// <summary>No further entry is proposed until <see cref="Resume"/>; whoever comes waits.</summary>
    public void Hold()
    {
        lock (_gate)
            _isHeld = true;
    }

    public void Resume()
    {
        lock (_gate)
        {
            if (!_isHeld)
                return;
            _isHeld = false;
            if (_isBusy || _room.Count == 0)
                return;
            _isBusy = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Nothing is taken any more, and who waits outside an entry is told. Entries on their way are not touched.</summary>
    public void Close(GroupFailure failure, string reason)
    {
        Proposal[] room;
        lock (_gate)
        {
            _closed ??= ProposalOutcome.Failed(failure, reason);
            room = [.. _room.Where(proposal => proposal.Stage == ProposalStage.Waiting)];
            _room.Clear();
        }

        Settle(room, failure, reason);
    }

    /// <summary>After <see cref="Close"/> or <see cref="Hold"/>: completes when the entries on their way have their outcome.</summary>
    public async Task DrainAsync()
    {
        Task made = Task.CompletedTask;
        lock (_gate)
        {
            if (_making > 0)
                made = (_made ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }

        await made.ConfigureAwait(false);
        Task[] proposed;
        lock (_gate)
            proposed = [.. _proposed];
        await Task.WhenAll(proposed).ConfigureAwait(false);
    }

    /// <summary>Makes and proposes the next entry. Runs on one thread at a time: only while the slot is taken, by whoever took it.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        TakeCallers();
        if (_taken.Count == 0)
        {
            Made(null);
            FreeSlot();
            return;
        }

        _gathering.EntryBegins();
        Proposal[] callers = [.. _taken];
        ReadOnlyMemory<byte> payload;
        try
        {
            _writer.Reset();
            foreach (Proposal proposal in callers)
                _writer.Append(proposal.Command);
            payload = _writer.ToPayload();
        }
        catch (ArgumentException e)
        {
            Refuse(callers, e);
            Made(null);
            FreeSlot();
            return;
        }

        ReleaseBuffers(callers);
        RaftMetrics.Commands.Add(callers.Length);
        ProposalBatch batch = new(this, callers);
        Made(_propose(payload, batch));
    }

    private void Made(Task? proposed)
    {
        TaskCompletionSource? made;
        lock (_gate)
        {
            _proposed.RemoveAll(static task => task.IsCompleted);
            if (proposed is not null)
                _proposed.Add(proposed);
            made = --_making == 0 ? _made : null;
            if (made is not null)
                _made = null;
        }

        made?.SetResult();
    }

    private void OnGathered()
    {
        bool go;
        lock (_gate)
        {
            if (!_gathering.GiveUp())
                return;
            go = _isBusy = _room.Count > 0 && !_isHeld;
        }

        if (go)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private static ValueTask<ProposalOutcome> Failed(GroupFailure failure, string reason) => Refused(ProposalOutcome.Failed(failure, reason));

    private static ValueTask<ProposalOutcome> Refused(ProposalOutcome outcome)
    {
        RaftMetrics.Rejected.Add(1);
        return new ValueTask<ProposalOutcome>(outcome);
    }

    private static ProposalOutcome Taken() => ProposalOutcome.Failed(GroupFailure.Cancelled, "The call was cancelled before anything happened.");

    private static ProposalOutcome Unknown() =>
        ProposalOutcome.Failed(GroupFailure.Unknown, "The call was cancelled after the write was handed to the log: it may or may not take effect.");

    /// <summary>Under the lock.</summary>
    private void Finish(Proposal proposal)
    {
        proposal.Stage = ProposalStage.Done;
        _waiting--;
        _waitingBytes -= proposal.Bytes;
    }

    /// <summary>Under the lock. Callers who cancelled leave their object in the queue: while the log hangs it must not grow with them.</summary>
    private void ForgetCancelled()
    {
        Proposal[] live = [.. _room.Where(static proposal => proposal.Stage == ProposalStage.Waiting)];
        _room.Clear();
        foreach (Proposal proposal in live)
            _room.Enqueue(proposal);
    }

    private void TakeCallers()
    {
        _taken.Clear();
        long bytes = 0;
        lock (_gate)
        {
            _making++;
            // Held after this turn was scheduled: who waits is taken when the hold ends.
            while (!_isHeld && _taken.Count < _options.EntryCommands && _room.TryPeek(out Proposal? proposal))
            {
                bool isLive = proposal.Stage == ProposalStage.Waiting;
                bool isFull = bytes + proposal.Bytes > _options.EntryBytes || proposal.Command is InstallCommand || (_taken.Count > 0 && _taken[0].Command is InstallCommand);
                if (isLive && _taken.Count > 0 && isFull)
                    return;
                _room.Dequeue();
                if (!isLive)
                    continue;
                proposal.Stage = ProposalStage.Encoding;
                bytes += proposal.Bytes;
                _taken.Add(proposal);
            }
        }
    }

    /// <summary>The commands are copied: callers who cancelled meanwhile may have their buffers back.</summary>
    private void ReleaseBuffers(Proposal[] callers)
    {
        List<Proposal>? cancelled = null;
        lock (_gate)
        {
            foreach (Proposal proposal in callers)
            {
                proposal.Stage = ProposalStage.InEntry;
                if (!proposal.CancelRequested)
                    continue;
                Finish(proposal);
                (cancelled ??= []).Add(proposal);
            }
        }

        foreach (Proposal proposal in cancelled ?? [])
            proposal.Complete(Unknown());
    }

    private void Refuse(Proposal[] callers, ArgumentException cause)
    {
        lock (_gate)
        {
            foreach (Proposal proposal in callers)
                Finish(proposal);
        }

        foreach (Proposal proposal in callers)
            proposal.Fail(cause);
    }
}
