using System.Text.Json;
using Google.Protobuf;

namespace Regatta.Cli;

/// <summary>
/// One line of <c>kv load</c>: an object with "key" or "key_b64" and "value" or "value_b64". The revisions that <c>kv range -o jsonl</c> prints
/// are ignored; any other field is an error, for it would be a mistyped one.
/// </summary>
internal static class RecordLine
{
    private const string Form = "a record is an object with key (or key_b64) and value (or value_b64)";

    /// <returns>Null, or what is wrong.</returns>
    public static string? TryParse(ReadOnlySpan<byte> line, out ByteString key, out ByteString value)
    {
        (ByteString? foundKey, ByteString? foundValue) = (null, null);
        string? error;
        try
        {
            Utf8JsonReader reader = new(line);
            error = ReadObject(ref reader, ref foundKey, ref foundValue);
        }
        catch (JsonException e)
        {
            error = $"this is not JSON: {Sentence(e.Message)}";
        }
        (key, value) = (foundKey ?? ByteString.Empty, foundValue ?? ByteString.Empty);
        return error ?? (foundKey is null || foundValue is null ? $"{(foundKey is null ? "key" : "value")} is missing; {Form}" : null);
    }

    private static string? ReadObject(ref Utf8JsonReader reader, ref ByteString? key, ref ByteString? value)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return Form;
        string? error = null;
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            error = ReadField(ref reader, ref key, ref value);
        // Reading on makes sure that nothing follows.
        while (error is null && reader.Read())
            error = Form;
        return error;
    }

    private static string? ReadField(ref Utf8JsonReader reader, ref ByteString? key, ref ByteString? value)
    {
        if (reader.ValueTextEquals("key"u8))
            return ReadText(ref reader, "key", ref key);
        if (reader.ValueTextEquals("value"u8))
            return ReadText(ref reader, "value", ref value);
        if (reader.ValueTextEquals("key_b64"u8))
            return ReadBase64(ref reader, "key", ref key);
        if (reader.ValueTextEquals("value_b64"u8))
            return ReadBase64(ref reader, "value", ref value);
        if (reader.ValueTextEquals("create_revision"u8) || reader.ValueTextEquals("mod_revision"u8) || reader.ValueTextEquals("version"u8))
            return reader.Read() && reader.TokenType == JsonTokenType.Number ? null : "revisions and versions are numbers";
        return $"{EscapedText.Shortened(reader.ValueSpan, 40)} is not a field of a record; {Form}";
    }

    private static string? ReadText(ref Utf8JsonReader reader, string field, ref ByteString? target)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.String)
            return $"{field} is not a string; {Form}";
        if (target is not null)
            return $"{field} is given twice";
        try
        {
            byte[] buffer = new byte[reader.ValueSpan.Length];
            int length = reader.CopyString(buffer);
            target = UnsafeByteOperations.UnsafeWrap(buffer.AsMemory(0, length));
            return null;
        }
        catch (InvalidOperationException)
        {
            return $"{field} is not text (it is not UTF-8, or has half a surrogate pair); give its bytes as {field}_b64";
        }
    }

    private static string? ReadBase64(ref Utf8JsonReader reader, string field, ref ByteString? target)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.String || !reader.TryGetBytesFromBase64(out byte[]? bytes))
            return $"{field}_b64 is not a string of base64";
        if (target is not null)
            return $"{field} is given twice";
        target = UnsafeByteOperations.UnsafeWrap(bytes);
        return null;
    }

    // The position within the file is our line number; JsonException counts lines within the line.
    private static string Sentence(string message)
    {
        int position = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return position < 0 ? message : message[..position];
    }
}
