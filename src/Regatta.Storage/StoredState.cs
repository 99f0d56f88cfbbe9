using Regatta.Core;
using Regatta.Storage.Formats;
using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>The applied state in a table's meta family: written with every step, there from the moment the table is made.</summary>
internal static class StoredState
{
    internal static void Put(TableBatch batch, in AppliedState state)
    {
        Span<byte> record = stackalloc byte[AppliedRecord.Bytes];
        AppliedRecord.Encode(record, state);
        batch.PutRaw(Family.Meta, MetaRecord.AppliedKey, record);
    }

    /// <summary>The newest one, or with a snapshot in <paramref name="readOptions"/> that of its moment. Needs a reference on the database.</summary>
    internal static AppliedState Read(TableDatabase database, nint readOptions)
    {
        using PinnedValue stored = database.Get(Family.Meta, readOptions, MetaRecord.AppliedKey);
        return Decode(stored, database.Directory);
    }

    /// <summary>The one that is on disk. Needs a reference on the database.</summary>
    internal static AppliedState ReadPersisted(TableDatabase database)
    {
        using PinnedValue stored = database.GetPersisted(Family.Meta, MetaRecord.AppliedKey);
        return Decode(stored, database.Directory);
    }

    private static AppliedState Decode(in PinnedValue stored, string directory)
    {
        if (!stored.Found) throw RocksError.Corrupt(directory, "the applied state is missing");
        return AppliedRecord.TryDecode(stored.Bytes, out AppliedState state)
            ? state
            : throw FormatError.Of(directory, "meta", MetaRecord.AppliedKey, "(applied state) is damaged, or was written by a newer version");
    }
}
