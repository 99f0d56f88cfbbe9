using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Regatta.Node;

/// <summary>
/// The system table's keys. <c>table/NAME</c>: the table of that name, as long as it exists. <c>tombstone/GROUP</c>: the group's table was deleted and its data
/// is to be deleted wherever it is found; tombstones stay for ever, because a node may have been away for any time.
/// </summary>
internal static class CatalogueKeys
{
    /// <summary>The catalogue's own Raft group.</summary>
    public const long CatalogueGroup = 1;

    /// <summary>The catalogue's own life, the only one in its history.</summary>
    public const long CatalogueLife = 0;

    // Below are groups of the system itself. The Go project counts its tables from 10001, too.
    private const long FirstTableGroup = 10_000;

    public static ReadOnlyMemory<byte> Tables { get; } = "table/"u8.ToArray();

    public static ReadOnlyMemory<byte> TablesEnd { get; } = "table0"u8.ToArray();

    public static ReadOnlyMemory<byte> Tombstones { get; } = "tombstone/"u8.ToArray();

    public static ReadOnlyMemory<byte> TombstonesEnd { get; } = "tombstone0"u8.ToArray();

    public static byte[] Table(string name) => Encoding.UTF8.GetBytes("table/" + name);

    public static byte[] Tombstone(long groupId) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"tombstone/{groupId}"));

    public static string TableName(ReadOnlySpan<byte> key) => Encoding.UTF8.GetString(key[Tables.Length..]);

    public static bool TryGroup(ReadOnlySpan<byte> tombstone, out long groupId) =>
        Utf8Parser.TryParse(tombstone[Tombstones.Length..], out groupId, out int read) && read == tombstone.Length - Tombstones.Length;

    /// <summary>A revision of the catalogue makes one table at most and never comes again, so the group never comes again.</summary>
    public static long GroupOf(long createRevision) => FirstTableGroup + createRevision;

    /// <summary>The catalogue's revision that made a table's group.</summary>
    public static long RevisionOf(long groupId) => groupId - FirstTableGroup;
}
