using System.Buffers;
using System.Globalization;
using System.Text;
using Regatta.Client;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary>
/// Prints the pages of a range as they come. One instance per range; call <see cref="PageAsync"/> for each page, then <see cref="EndAsync"/>.
/// </summary>
internal sealed class KeyValuePrinter(OutputSink output, OutputFormat format, KeyValueView view)
{
    private const int RowsPerTable = 1000;
    private const int ShownValue = 60;

    private readonly List<IReadOnlyList<string>> _rows = [];
    private ResponseHeader? _header;
    private Provenance? _provenance;
    private long _count;
    private bool _more;

    public async ValueTask PageAsync(RangeResponse page, CancellationToken token)
    {
        if (_header is null)
            Begin(page.Header);
        foreach (KeyValue pair in page.Kvs)
        {
            Print(pair);
            _count++;
            await output.PassOnAsync(token);
        }
        if (view.CountOnly)
            _count += page.Count;
        _more = page.More;
    }

    /// <summary>What the answer says of itself; it comes last.</summary>
    public void Tell(Provenance provenance) => _provenance = provenance;

    public async ValueTask EndAsync(CancellationToken token)
    {
        if (format == OutputFormat.Json)
        {
            KeyValueJson.WriteNumber(output, view.CountOnly ? ",\"count\":"u8 : "],\"count\":"u8, _count);
            output.Write(_more ? ",\"more\":true"u8 : ",\"more\":false"u8);
            if (_provenance is { } provenance)
                PrintProvenance(provenance);
            output.WriteLine("}");
        }
        else if (view.CountOnly)
            output.WriteLine(format == OutputFormat.JsonLines ? $"{{\"count\":{_count}}}" : _count.ToString(CultureInfo.InvariantCulture));
        else if (format == OutputFormat.Table)
            PrintRows();
        await output.FlushAsync(token);
    }

    private void PrintProvenance(Provenance provenance)
    {
        if (provenance.Staleness is { } staleness)
            KeyValueJson.WriteNumber(output, ",\"staleness_ms\":"u8, (long)staleness.TotalMilliseconds);
        output.Write(","u8);
        JsonText.WriteField(output, "site"u8, Encoding.UTF8.GetBytes(provenance.Site));
    }

    private void Begin(ResponseHeader? header)
    {
        _header = header ?? new ResponseHeader();
        if (format != OutputFormat.Json)
            return;
        KeyValueJson.WriteNumber(output, "{\"revision\":"u8, (long)_header.Revision);
        if (!view.CountOnly)
            output.Write(",\"kvs\":["u8);
    }

    private void Print(KeyValue pair)
    {
        switch (format)
        {
            case OutputFormat.Table:
                _rows.Add(Row(pair, view.KeysOnly));
                if (_rows.Count == RowsPerTable)
                    PrintRows();
                break;
            case OutputFormat.Simple:
                PrintLine(output, pair, view.KeysOnly);
                break;
            default:
                if (format == OutputFormat.Json && _count > 0)
                    output.Write(","u8);
                KeyValueJson.Write(output, pair, !view.KeysOnly, withRevisions: true);
                if (format == OutputFormat.JsonLines)
                    output.WriteLine("");
                break;
        }
    }

    /// <summary>The pair as the simple format has it: key, tab, value.</summary>
    public static void PrintLine(OutputSink output, KeyValue pair, bool keysOnly) =>
        output.WriteLine(keysOnly ? EscapedText.Of(pair.Key.Span) : $"{EscapedText.Of(pair.Key.Span)}\t{EscapedText.Of(pair.Value.Span)}");

    /// <summary>Pairs as the table format has them.</summary>
    public static void PrintTable(OutputSink output, IEnumerable<KeyValue> pairs, bool keysOnly = false) =>
        PrintRows(output, pairs.Select(pair => Row(pair, keysOnly)), keysOnly);

    private static string[] Row(KeyValue pair, bool keysOnly)
    {
        string[] row =
        [
            EscapedText.Of(pair.Key.Span), Text(pair.CreateRevision), Text(pair.ModRevision), Text(pair.Version),
            EscapedText.Shortened(pair.Value.Span, ShownValue),
        ];
        return keysOnly ? row[..^1] : row;
    }

    private void PrintRows()
    {
        PrintRows(output, _rows, view.KeysOnly);
        _rows.Clear();
    }

    private static void PrintRows(OutputSink output, IEnumerable<IReadOnlyList<string>> rows, bool keysOnly)
    {
        string[] headings = ["KEY", "CREATED", "MODIFIED", "VERSION", "VALUE"];
        Encoding.UTF8.GetBytes(TableText.Render(keysOnly ? headings[..^1] : headings, rows), output);
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What of the pairs was asked for.</summary>
internal readonly record struct KeyValueView(bool KeysOnly, bool CountOnly);
