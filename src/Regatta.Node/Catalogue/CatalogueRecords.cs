using System.Text.Json;
using System.Text.Json.Serialization;

namespace Regatta.Node;

/// <summary>The value of a table's key.</summary>
/// <param name="Format">Version of this record; 1.</param>
/// <param name="Created">By the clock of the node that took the request; for people.</param>
internal sealed record TableRecord(int Format, string Name, DateTimeOffset Created);

/// <summary>The value of a tombstone.</summary>
/// <param name="Format">Version of this record; 1.</param>
/// <param name="Deleted">By the clock of the node that took the request; for people.</param>
internal sealed record TombstoneRecord(int Format, string Name, long GroupId, DateTimeOffset Deleted);

/// <summary>Records as JSON: few, small, and worth reading with one's own eyes when something is wrong.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(TableRecord))]
[JsonSerializable(typeof(TombstoneRecord))]
internal sealed partial class CatalogueRecords : JsonSerializerContext
{
    public const int CurrentFormat = 1;

    public static byte[] Encode(TableRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, Default.TableRecord);

    public static byte[] Encode(TombstoneRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, Default.TombstoneRecord);

    /// <exception cref="InvalidDataException">Garbled, or of a newer version.</exception>
    public static TableRecord DecodeTable(ReadOnlySpan<byte> json)
    {
        try
        {
            TableRecord? record = JsonSerializer.Deserialize(json, Default.TableRecord);
            return record is { Format: CurrentFormat }
                ? record
                : throw new InvalidDataException($"the catalogue holds a table record of format {record?.Format}, this version knows {CurrentFormat}: start a newer version");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("the catalogue holds a table record that cannot be read: " + e.Message, e);
        }
    }
}
