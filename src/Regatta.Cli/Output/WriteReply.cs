using System.Buffers;
using System.Globalization;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary>What a put or a delete gave.</summary>
/// <param name="Header">The reply's header.</param>
/// <param name="Deleted">How many keys were deleted; null if it was not asked for.</param>
/// <param name="Previous">The pairs that were replaced or deleted, as far as they were asked for.</param>
internal sealed record WriteReply(ResponseHeader? Header, long? Deleted, IReadOnlyCollection<KeyValue> Previous)
{
    private long Revision => (long)(Header?.Revision ?? 0);

    public void Write(OutputSink output, OutputFormat format)
    {
        if (format is OutputFormat.Json or OutputFormat.JsonLines)
            WriteJson(output);
        else if (format == OutputFormat.Table)
            WriteTable(output);
        else
            WriteLines(output);
    }

    private void WriteLines(OutputSink output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"revision {Revision}"));
        if (Deleted is { } deleted)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"deleted {deleted}"));
        foreach (KeyValue pair in Previous)
            KeyValuePrinter.PrintLine(output, pair, keysOnly: false);
    }

    private void WriteTable(OutputSink output)
    {
        if (Deleted is { } deleted)
            Records.WriteOne(output, OutputFormat.Table, [new("revision"), new("deleted")], [Revision, deleted]);
        else
            Records.WriteOne(output, OutputFormat.Table, [new("revision")], [Revision]);
        if (Previous.Count > 0)
            KeyValuePrinter.PrintTable(output, Previous);
    }

    private void WriteJson(OutputSink output)
    {
        KeyValueJson.WriteNumber(output, "{\"revision\":"u8, Revision);
        if (Deleted is { } deleted)
            KeyValueJson.WriteNumber(output, ",\"deleted\":"u8, deleted);
        if (Previous.Count > 0)
        {
            output.Write(",\"prev_kvs\":"u8);
            KeyValueJson.WriteList(output, Previous, withValue: true);
        }
        output.WriteLine("}");
    }
}
