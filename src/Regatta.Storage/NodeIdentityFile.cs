using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;

namespace Regatta.Storage;

/// <summary>
/// <c>node.json</c>: readable for people, with a check over its fields, because one flipped bit in an id would otherwise be
/// another valid id.
/// </summary>
internal static class NodeIdentityFile
{
    private const int FormatVersion = 2;

    internal static byte[] Encode(NodeIdentity identity)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteNumber("formatVersion", FormatVersion);
            json.WriteString("role", RoleName(identity.Role));
            json.WriteNumber("nodeId", identity.NodeId);
            json.WriteString("historyId", identity.History);
            json.WriteString("storeId", identity.Store);
            json.WriteString("standing", StandingName(identity.Standing));
            json.WriteStartArray("founders");
            foreach (Guid founder in identity.Founders)
                json.WriteStringValue(founder);
            json.WriteEndArray();
            json.WriteString("check", Check(identity));
            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <exception cref="StorageCorruptionException">Not a whole, unchanged identity.</exception>
    /// <exception cref="StorageRefusedException">Written by a newer version.</exception>
    internal static NodeIdentity Decode(string path, ReadOnlyMemory<byte> content)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(content);
            JsonElement root = json.RootElement;
            int version = root.GetProperty("formatVersion").GetInt32();
            if (version > FormatVersion)
                throw new StorageRefusedException(
                    $"{path} has format version {version}; this program knows versions up to {FormatVersion}. Start it with a newer program.");
            NodeIdentity identity = Read(root, version);
            bool whole = version is 1 or FormatVersion && root.GetProperty("check").GetString() == Check(identity, version);
            return whole ? identity : throw Damaged(path, null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or FormatException or InvalidOperationException)
        {
            throw Damaged(path, e);
        }
    }

    // Format 1 knew members only.
    private static NodeIdentity Read(JsonElement root, int version) => new(
        root.GetProperty("role").GetString() switch
        {
            "leader" => NodeRole.Leader,
            "follower" => NodeRole.Follower,
            var other => throw new FormatException($"unknown role {other}"),
        },
        root.GetProperty("nodeId").GetInt64(),
        root.GetProperty("historyId").GetGuid(),
        root.GetProperty("storeId").GetGuid(),
        version == 1 ? NodeStanding.Member : Standing(root.GetProperty("standing").GetString()),
        version == 1 ? [] : [.. root.GetProperty("founders").EnumerateArray().Select(founder => founder.GetGuid())]);

    internal static string RoleName(NodeRole role) => role == NodeRole.Leader ? "leader" : "follower";

    private static string StandingName(NodeStanding standing) => standing switch
    {
        NodeStanding.New => "new",
        NodeStanding.Recovering => "recovering",
        _ => "member",
    };

    private static NodeStanding Standing(string? name) => name switch
    {
        "new" => NodeStanding.New,
        "recovering" => NodeStanding.Recovering,
        "member" => NodeStanding.Member,
        _ => throw new FormatException($"unknown standing {name}"),
    };

    private static string Check(NodeIdentity identity, int version = FormatVersion)
    {
        string fields = $"{version} {RoleName(identity.Role)} {identity.NodeId} {identity.History:N} {identity.Store:N}";
        if (version > 1)
            fields += $" {StandingName(identity.Standing)} {string.Join(',', identity.Founders.Select(founder => founder.ToString("N")))}";
        Span<byte> hash = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(hash, XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(fields)));
        return Convert.ToHexStringLower(hash);
    }

    private static StorageCorruptionException Damaged(string path, Exception? cause)
    {
        const string Advice = "is damaged or was edited by hand: restore it from a copy, or give the node an empty data directory";
        return cause is null ? new($"{path} {Advice}.") : new($"{path} {Advice} ({cause.Message}).", cause);
    }
}
