using System.Threading.Tasks.Sources;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>Where a caller's command is.</summary>
internal enum ProposalStage : byte
{
    /// <summary>In the waiting room: it can still be taken back.</summary>
    Waiting,

    /// <summary>Being written into an entry: the caller's buffers are in use.</summary>
    Encoding,

    /// <summary>In an entry: its fate is the log's.</summary>
    InEntry,

    /// <summary>The caller has its outcome, or will have it in a moment.</summary>
    Done,
}

/// <summary>
/// One caller that waits for its command. Pooled: the object goes back when the caller has read its result and nobody else can
/// touch it any more. <see cref="Stage"/> and <see cref="CancelRequested"/> are guarded by the batcher's lock.
/// </summary>
internal sealed class Proposal : IValueTaskSource<ProposalOutcome>
{
    private const int PoolSize = 256;

    [ThreadStatic]
    private static Stack<Proposal>? _pool;

    private ManualResetValueTaskSourceCore<ProposalOutcome> _completion = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private Batcher _owner = null!;

    private Proposal()
    {
    }

    public TableCommand Command { get; private set; } = null!;

    /// <summary>Bytes that the command adds to an entry.</summary>
    public long Bytes { get; private set; }

    public ProposalStage Stage { get; set; }

    /// <summary>The caller cancelled while its buffers were in use: it is told as soon as they are not.</summary>
    public bool CancelRequested { get; set; }

    /// <summary>Set while the entry is applied; shown to the caller when the write has succeeded.</summary>
    public CommandResult? Result { get; set; }

    public ValueTask<ProposalOutcome> Outcome => new(this, _completion.Version);

    public static Proposal Rent(Batcher owner, TableCommand command, long bytes)
    {
        Proposal proposal = _pool is { Count: > 0 } pool ? pool.Pop() : new Proposal();
        proposal._owner = owner;
        proposal.Command = command;
        proposal.Bytes = bytes;
        return proposal;
    }

    /// <summary>The batcher is told when the token is cancelled; at once if it is already, so no lock may be held.</summary>
    public void Watch(CancellationToken cancellationToken)
    {
        if (!cancellationToken.CanBeCanceled)
            return;
        _cancellation = cancellationToken.UnsafeRegister(
            static state =>
            {
                var proposal = (Proposal)state!;
                proposal._owner.Cancel(proposal);
            },
            this);
    }

    /// <summary>Called once, without locks. The caller continues on another thread.</summary>
    public void Complete(in ProposalOutcome outcome) => _completion.SetResult(outcome);

    /// <summary>Called once, without locks: the command could not even be encoded, which is a bug.</summary>
    public void Fail(Exception cause) => _completion.SetException(cause);

    ProposalOutcome IValueTaskSource<ProposalOutcome>.GetResult(short token)
    {
        ProposalOutcome outcome = _completion.GetResult(token);
        // False: the callback has run or is running on another thread and holds this object, which then is not used again.
        bool isFree = _cancellation == default || _cancellation.Unregister();
        // Only after a result does nobody hold this object: a proposal that failed may still lie in the waiting room or in an entry.
        if (isFree && outcome.Result is not null)
            Return();
        return outcome;
    }

    ValueTaskSourceStatus IValueTaskSource<ProposalOutcome>.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource<ProposalOutcome>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);

    private void Return()
    {
        Stack<Proposal> pool = _pool ??= new Stack<Proposal>();
        if (pool.Count >= PoolSize)
            return;
        _completion.Reset();
        _cancellation = default;
        _owner = null!;
        Command = null!;
        Result = null;
        CancelRequested = false;
        Stage = ProposalStage.Waiting;
        pool.Push(this);
    }
}
