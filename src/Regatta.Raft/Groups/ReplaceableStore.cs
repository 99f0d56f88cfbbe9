using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// A table's store whose place another one can take while readers read: a call that comes too late for the former one goes to its successor, and views that are open stay what they are.
/// One writer, which is also who replaces; all else from any thread.
/// </summary>
internal sealed class ReplaceableStore(TableStore first) : ITableStore, IDisposable
{
    private volatile TableStore _current = first;

    public TableStore Current => _current;

    public AppliedState Applied => _current.Applied;

    public ITableView Latest => _current.Latest;

    public long Revision => _current.Revision;

    public ITableBatch NewBatch() => _current.NewBatch();

    public void Write(ITableBatch batch, in AppliedState next) => _current.Write(batch, next);

    public PointRead Get(ReadOnlySpan<byte> key, bool withValue)
    {
        while (true)
        {
            TableStore seen = _current;
            try
            {
                return seen.Get(key, withValue);
            }
            catch (ObjectDisposedException) when (seen != _current)
            {
                // Replaced meanwhile.
            }
        }
    }

    public ITableView OpenView() => Use(static store => store.OpenView());

    public ChainRead ReadChain(long revision) => Use(store => store.ReadChain(revision));

    public IChangeReader OpenChanges(long from, bool withParts) => Use(store => store.OpenChanges(from, withParts));

    /// <summary>Does something with the store of the moment, and again with its successor if it was closed meanwhile.</summary>
    public T Use<T>(Func<TableStore, T> use)
    {
        while (true)
        {
            TableStore seen = _current;
            try
            {
                return use(seen);
            }
            catch (ObjectDisposedException) when (seen != _current)
            {
                // Replaced meanwhile.
            }
        }
    }

    /// <returns>The former one, disposed: it is closed when nobody reads from it any more.</returns>
    public TableStore Replace(TableStore next)
    {
        TableStore former = _current;
        _current = next;
        former.Dispose();
        return former;
    }

    public void Dispose() => _current.Dispose();
}
