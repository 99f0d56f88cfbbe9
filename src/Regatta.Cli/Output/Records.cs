using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Regatta.Cli;

/// <summary>A column: its heading in tables, its field in JSON.</summary>
internal sealed record Column(string Field)
{
    public string Heading => Field.Replace('_', ' ').ToUpperInvariant();
}

/// <summary>Rows of plain values (text, numbers, lists of text) in the chosen format.</summary>
internal static class Records
{
    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(OutputSink output, OutputFormat format, IReadOnlyList<Column> columns, IReadOnlyList<object[]> rows)
    {
        switch (format)
        {
            case OutputFormat.Table:
                string table = TableText.Render([.. columns.Select(column => column.Heading)], rows.Select(Cells));
                Encoding.UTF8.GetBytes(table, output);
                break;
            case OutputFormat.Json:
                WriteJson(output, columns, rows);
                break;
            case OutputFormat.JsonLines:
                foreach (object[] row in rows)
                    WriteJsonLine(output, columns, row);
                break;
            default:
                foreach (object[] row in rows)
                    output.WriteLine(string.Join('\t', Cells(row)));
                break;
        }
    }

    /// <summary>One record: an object in JSON, "name value" lines in the simple format.</summary>
    public static void WriteOne(OutputSink output, OutputFormat format, IReadOnlyList<Column> columns, object[] row)
    {
        switch (format)
        {
            case OutputFormat.Table:
                Write(output, format, columns, [row]);
                break;
            case OutputFormat.Simple:
                foreach ((Column column, string cell) in columns.Zip(Cells(row)))
                    output.WriteLine($"{column.Field} {cell}");
                break;
            default:
                WriteJsonLine(output, columns, row);
                break;
        }
    }

    private static void WriteJson(OutputSink output, IReadOnlyList<Column> columns, IReadOnlyList<object[]> rows)
    {
        using (Utf8JsonWriter writer = new(output, Json))
        {
            writer.WriteStartArray();
            foreach (object[] row in rows)
                WriteObject(writer, columns, row);
            writer.WriteEndArray();
        }
        output.WriteLine("");
    }

    private static void WriteJsonLine(OutputSink output, IReadOnlyList<Column> columns, object[] row)
    {
        using (Utf8JsonWriter writer = new(output, Json))
            WriteObject(writer, columns, row);
        output.WriteLine("");
    }

    private static void WriteObject(Utf8JsonWriter writer, IReadOnlyList<Column> columns, object[] row)
    {
        writer.WriteStartObject();
        foreach ((Column column, object value) in columns.Zip(row))
        {
            writer.WritePropertyName(column.Field);
            WriteValue(writer, value);
        }
        writer.WriteEndObject();
    }

    private static void WriteValue(Utf8JsonWriter writer, object value)
    {
        switch (value)
        {
            case long number:
                writer.WriteNumberValue(number);
                break;
            case ulong number:
                writer.WriteNumberValue(number);
                break;
            case IEnumerable<string> list:
                writer.WriteStartArray();
                foreach (string item in list)
                    writer.WriteStringValue(item);
                writer.WriteEndArray();
                break;
            default:
                writer.WriteStringValue((string)value);
                break;
        }
    }

    private static string[] Cells(object[] row) => [.. row.Select(Cell)];

    private static string Cell(object value) => value switch
    {
        string text => EscapedText.Of(Encoding.UTF8.GetBytes(text)),
        IEnumerable<string> list => string.Join(',', list),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };
}
