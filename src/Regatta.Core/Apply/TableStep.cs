using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>
/// Executes commands one after the other into one batch. Each gets the next revision and one link of the chain, whatever it does;
/// each sees what those before it did. Answers are made only where somebody waits for them, and never influence the state.
/// </summary>
internal sealed class TableStep(StepView view, int pageBytes)
{
    private readonly ChangeWriter _changes = new();
    private ITableBatch? _batch;
    private Incarnation _incarnation;

    public long Revision => view.Revision;

    /// <summary>The chain's end at <see cref="Revision"/>.</summary>
    public ChainHash Chain { get; private set; }

    private ITableBatch Batch => _batch ?? throw new InvalidOperationException("No step is being applied.");

    public void Begin(ITableView stored, ITableBatch batch, in AppliedState applied)
    {
        _batch = batch;
        view.Begin(stored);
        view.Revision = applied.Revision;
        _incarnation = applied.Incarnation;
        Chain = applied.Revision == 0 ? ChainHash.Seed(applied.Incarnation) : applied.Chain;
    }

    /// <summary>The batch is written.</summary>
    public void Written() => view.Written();

    /// <summary>Forgets the step, whether it was written or not.</summary>
    public void End()
    {
        view.End();
        _batch = null;
    }

    public CommandResult? Execute(in PutFields put, bool wantResult)
    {
        BeginCommand();
        KeyRecord? previous = Put(put.Key, put.Value, wantResult && put.WantPrevious);
        EndCommand();
        return wantResult ? new PutResult(Revision, previous) : null;
    }

    public CommandResult? Execute(TableCommand command, bool wantResult)
    {
        if (command is PutCommand put)
            return Execute(new PutFields(put.Key, put.Value, put.WantPrevious), wantResult);
        if (command is ReplicatedBatch batch)
            return Execute(batch, wantResult);
#if DEBUG
        // Whoever leads has a caller that waits.
        if (DebugBugs.Current == DebugBug.DeleteRangeOnLeaderOnly && !wantResult && command is DeleteRangeCommand { Range.IsSingle: false })
            command = new DummyCommand();
#endif
        BeginCommand();
        CommandResult? result = command switch
        {
            DeleteRangeCommand delete => DeleteRange(delete, wantResult),
            TxnCommand txn => Txn(txn, wantResult),
            DummyCommand => wantResult ? new DummyResult(Revision) : null,
            // Its effect is no write: whoever applies entries takes it out before.
            InstallCommand => throw new InvalidDataException("an installation is not alone in its entry"),
            _ => throw new InvalidOperationException($"{command.GetType().Name} is not executed here."),
        };
        EndCommand();
        return result;
    }

    private ReplicatedResult? Execute(ReplicatedBatch batch, bool wantResult)
    {
        bool follows = batch.Follows(_incarnation, Revision);
        if (follows)
        {
            foreach (TableCommand command in batch.Commands)
                Execute(command, wantResult: false);
        }

        return wantResult ? new ReplicatedResult(Revision, follows) : null;
    }

    private void BeginCommand()
    {
        view.Revision++;
        _changes.Begin(Chain, Revision);
    }

    private void EndCommand() => Chain = _changes.End(Batch, Revision);

    private DeleteRangeResult? DeleteRange(DeleteRangeCommand delete, bool wantResult)
    {
        DeletedRecords deleted = Delete(delete.Range, wantResult && delete.WantPrevious);
        return wantResult ? new DeleteRangeResult(Revision, deleted.Reported(delete.WantPrevious, delete.WantCount), deleted.Previous) : null;
    }

    /// <summary>The compares see the state before; then each operation of one branch sees what those before it did.</summary>
    private TxnResult? Txn(TxnCommand txn, bool wantResult)
    {
        bool succeeded = CompareEvaluation.AllHold(view, txn.Compares.AsSpan());
        ImmutableArray<TxnOp> operations = succeeded ? txn.Success : txn.Failure;
        if (!wantResult)
        {
            foreach (TxnOp operation in operations)
                Perform(operation, null);
            return null;
        }

        var budget = new PageBudget(pageBytes);
        var responses = ImmutableArray.CreateBuilder<TxnOpResult>(operations.Length);
        foreach (TxnOp operation in operations)
            responses.Add(Perform(operation, budget)!);
        return new TxnResult(Revision, succeeded, responses.MoveToImmutable());
    }

    /// <param name="budget">Null: nobody waits for the answer, and there is none.</param>
    private TxnOpResult? Perform(TxnOp operation, PageBudget? budget)
    {
        switch (operation)
        {
            case TxnOp.Put put:
                KeyRecord? previous = Put(put.Key, put.Value, budget is not null && put.WantPrevious);
                return budget is null ? null : new TxnOpResult.Put(previous);
            case TxnOp.DeleteRange delete:
                DeletedRecords deleted = Delete(delete.Keys, budget is not null && delete.WantPrevious);
                return budget is null ? null : new TxnOpResult.DeleteRange(deleted.Reported(delete.WantPrevious, delete.WantCount), deleted.Previous);
            case TxnOp.Range range:
                return budget is null ? null : TableQueries.Range(view, range, budget, CancellationToken.None);
            default:
                throw new InvalidOperationException($"{operation.GetType().Name} is not executed here.");
        }
    }

    private KeyRecord? Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, bool wantPrevious)
    {
        KeyRecord? previous = wantPrevious ? Find(key) : null;
        RecordHeader header = view.Put(key, value, out long replaced);
        Batch.Put(key.Span, header, value.Span);
        _changes.Put(key, value, header, replaced);
        return previous;
    }

    private DeletedRecords Delete(KeyRange range, bool wantPrevious) => range.IsSingle
        ? DeleteKey(range.Start, wantPrevious)
        : DeleteRange(range, wantPrevious);

    private DeletedRecords DeleteKey(ReadOnlyMemory<byte> key, bool wantPrevious)
    {
        KeyRecord? previous = wantPrevious ? Find(key) : null;
        if (!view.Delete(key, out long replaced))
            return new DeletedRecords(0, []);
        Batch.Delete(key.Span);
        _changes.Delete(key, replaced);
        return new DeletedRecords(1, previous is null ? [] : [previous]);
    }

    private DeletedRecords DeleteRange(KeyRange range, bool wantPrevious)
    {
        if (range.IsEmpty)
            return new DeletedRecords(0, []);
        long count = 0;
        ImmutableArray<KeyRecord>.Builder? previous = wantPrevious ? ImmutableArray.CreateBuilder<KeyRecord>() : null;
        using (ITableCursor cursor = view.Scan(range))
        {
            for (; cursor.MoveNext(); count++)
            {
#if DEBUG
                if (count == 3 && DebugBugs.Current == DebugBug.DeleteRangeLeavesRest)
                    break;
#endif
                Batch.Delete(cursor.Key);
                _changes.Removed(cursor.Key, cursor.Header.ModRevision, Batch, Revision);
                previous?.Add(RecordCopy.Of(cursor.Key, cursor.Header, cursor.Value));
            }
        }

        if (count > 0)
        {
            view.DeleteRange(range);
            _changes.DeleteRange(range, count, Batch, Revision);
        }

        return new DeletedRecords(count, previous?.DrainToImmutable() ?? []);
    }

    private KeyRecord? Find(ReadOnlyMemory<byte> key) => view.TryGet(key.Span, out RecordHeader header, out ReadOnlyMemory<byte> value)
        ? new KeyRecord(key.ToArray(), header, value)
        : null;

    /// <param name="Previous">Empty unless asked for.</param>
    private readonly record struct DeletedRecords(long Count, ImmutableArray<KeyRecord> Previous)
    {
        /// <summary>The wire's habit: a caller that asks for neither is told 0.</summary>
        public long Reported(bool wantPrevious, bool wantCount) => wantPrevious || wantCount ? Count : 0;
    }
}
