using System.Buffers;
using System.Buffers.Text;
using Regatta.Protocol.Mvcc;

namespace Regatta.Cli;

/// <summary>A key with its value as one JSON object: what -o json and jsonl print, what dump writes and load reads.</summary>
internal static class KeyValueJson
{
    /// <param name="output">Where to.</param>
    /// <param name="pair">What.</param>
    /// <param name="withValue">Whether the value was read: without it the field is left out rather than empty.</param>
    /// <param name="withRevisions">Whether create_revision, mod_revision and version are wanted.</param>
    public static void Write(IBufferWriter<byte> output, KeyValue pair, bool withValue, bool withRevisions)
    {
        output.Write("{"u8);
        JsonText.WriteField(output, "key"u8, pair.Key.Span);
        if (withValue)
        {
            output.Write(","u8);
            JsonText.WriteField(output, "value"u8, pair.Value.Span);
        }
        if (withRevisions)
        {
            WriteNumber(output, ",\"create_revision\":"u8, pair.CreateRevision);
            WriteNumber(output, ",\"mod_revision\":"u8, pair.ModRevision);
            WriteNumber(output, ",\"version\":"u8, pair.Version);
        }
        output.Write("}"u8);
    }

    /// <summary>An array of pairs, revisions included.</summary>
    public static void WriteList(IBufferWriter<byte> output, IEnumerable<KeyValue> pairs, bool withValue)
    {
        bool first = true;
        output.Write("["u8);
        foreach (KeyValue pair in pairs)
        {
            if (!first)
                output.Write(","u8);
            first = false;
            Write(output, pair, withValue, withRevisions: true);
        }
        output.Write("]"u8);
    }

    public static void WriteNumber(IBufferWriter<byte> output, ReadOnlySpan<byte> prefix, long value)
    {
        output.Write(prefix);
        Utf8Formatter.TryFormat(value, output.GetSpan(20), out int written);
        output.Advance(written);
    }
}
