using System.Collections.Immutable;
using System.Text;
using Regatta.Core;

namespace Regatta.Node;

/// <param name="Revision">Catalogue revision that made this table: its incarnation's number.</param>
internal sealed record CatalogueTable(string Name, long Revision, DateTimeOffset Created)
{
    public long GroupId => CatalogueKeys.GroupOf(Revision);
}

/// <summary>What the catalogue says at one revision.</summary>
/// <param name="Tables">Sorted by name.</param>
/// <param name="Dropped">Groups with a tombstone.</param>
internal sealed record CatalogueState(long Revision, ImmutableArray<CatalogueTable> Tables, ImmutableHashSet<long> Dropped)
{
    /// <exception cref="InvalidDataException">A record or key that this version cannot read. Guessing would start or delete the wrong thing.</exception>
    public static CatalogueState Read(ITableView view)
    {
        ImmutableArray<CatalogueTable>.Builder tables = ImmutableArray.CreateBuilder<CatalogueTable>();
        using (ITableCursor cursor = view.Scan(KeyRange.Interval(CatalogueKeys.Tables, CatalogueKeys.TablesEnd)))
        {
            while (cursor.MoveNext())
            {
                TableRecord record = CatalogueRecords.DecodeTable(cursor.Value);
                tables.Add(new CatalogueTable(CatalogueKeys.TableName(cursor.Key), cursor.Header.CreateRevision, record.Created));
            }
        }
        return new CatalogueState(view.Revision, tables.DrainToImmutable(), ReadTombstones(view));
    }

    private static ImmutableHashSet<long> ReadTombstones(ITableView view)
    {
        ImmutableHashSet<long>.Builder dropped = ImmutableHashSet.CreateBuilder<long>();
        using ITableCursor cursor = view.Scan(KeyRange.Interval(CatalogueKeys.Tombstones, CatalogueKeys.TombstonesEnd));
        while (cursor.MoveNext())
        {
            if (!CatalogueKeys.TryGroup(cursor.Key, out long groupId))
                throw new InvalidDataException($"the catalogue holds a tombstone that names no group: {Encoding.UTF8.GetString(cursor.Key)}");
            dropped.Add(groupId);
        }
        return dropped.ToImmutable();
    }
}
