using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// The site's tables, kept in a system table on the same machinery as every other. A name is taken and given back in one transaction each, so of
/// any number of callers exactly one succeeds; the revision of the transaction is the table's incarnation and gives its group.
/// </summary>
internal sealed class Catalogue(ITableGroup group, TimeProvider time)
{
    public ITableGroup Group { get; } = group;

    /// <summary>Takes a name. <see cref="TxnResult.Succeeded"/> false: it is taken; else the result's revision is the new table's.</summary>
    public ValueTask<ProposalOutcome> CreateAsync(string name, CancellationToken cancellationToken)
    {
        byte[] key = CatalogueKeys.Table(name);
        byte[] record = CatalogueRecords.Encode(new TableRecord(CatalogueRecords.CurrentFormat, name, time.GetUtcNow()));
        TxnCommand create = new([Absent(key)], [new TxnOp.Put(key, record, WantPrevious: false)], []);
        return Group.ProposeAsync(create, cancellationToken);
    }

    /// <summary>
    /// Gives a name back and leaves a tombstone for the group, if the name still belongs to the table made at <paramref name="revision"/>.
    /// <see cref="TxnResult.Succeeded"/> false: it does not.
    /// </summary>
    public ValueTask<ProposalOutcome> DeleteAsync(string name, long revision, CancellationToken cancellationToken)
    {
        byte[] key = CatalogueKeys.Table(name);
        long groupId = CatalogueKeys.GroupOf(revision);
        byte[] tombstone = CatalogueRecords.Encode(new TombstoneRecord(CatalogueRecords.CurrentFormat, name, groupId, time.GetUtcNow()));
        Compare same = new(KeyRange.Single(key), CompareOperator.Equal, CompareTarget.CreateRevision, default, revision);
        TxnCommand delete = new(
            [same],
            [
                new TxnOp.Put(CatalogueKeys.Tombstone(groupId), tombstone, WantPrevious: false),
                new TxnOp.DeleteRange(KeyRange.Single(key), WantPrevious: false, WantCount: false),
            ],
            []);
        return Group.ProposeAsync(delete, cancellationToken);
    }

    /// <summary>The revision that made the table of that name; 0 if there is none. As of this node's state: take a barrier before.</summary>
    public long Find(string name)
    {
        PointRead read = Group.Reader.Get(CatalogueKeys.Table(name), withValue: false);
        return read.Found ? read.Header.CreateRevision : 0;
    }

    /// <summary>All tables. As of this node's state: take a barrier before.</summary>
    public CatalogueState Read()
    {
        using ITableView view = Group.Reader.OpenView();
        return CatalogueState.Read(view);
    }

    /// <summary>As <see cref="Read"/>, also while the catalogue's state is being replaced by another node's: then that is read.</summary>
    public async ValueTask<CatalogueState> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return Read();
            }
            catch (ObjectDisposedException)
            {
                // Waits for what takes its place; nothing does when the node stops.
                GroupFailure failure = (await Group.ReadBarrierAsync(cancellationToken)).Failure;
                cancellationToken.ThrowIfCancellationRequested();
                if (failure == GroupFailure.Stopped)
                    throw;
            }
        }
    }

    private static Compare Absent(byte[] key) => new(KeyRange.Single(key), CompareOperator.Equal, CompareTarget.CreateRevision, default, 0);
}
