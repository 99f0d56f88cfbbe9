using System.Globalization;
using System.Text;
using Spectre.Console;

namespace Regatta.Cli;

/// <summary>Columns for eyes, without borders and escape codes, so that grep and awk can live with them too.</summary>
internal static class TableText
{
    // Lines are not wrapped within their columns: a table whose words are in pieces is worse than lines that a terminal wraps.
    private const int Unlimited = 100_000;

    /// <param name="headings">One per column.</param>
    /// <param name="rows">Cells without line breaks.</param>
    public static string Render(IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        using StringWriter text = new(CultureInfo.InvariantCulture);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new PlainOutput(text),
        });
        Table table = new() { Border = TableBorder.None };
        foreach (string heading in headings)
            table.AddColumn(new TableColumn(new Text(heading)) { Padding = new Padding(0, 0, 3, 0) });
        foreach (IReadOnlyList<string> row in rows)
            table.AddRow(row.Select(cell => new Text(cell)));
        console.Write(table);
        return Trimmed(text.ToString());
    }

    private static string Trimmed(string text)
    {
        StringBuilder trimmed = new(text.Length);
        foreach (ReadOnlySpan<char> line in text.AsSpan().TrimEnd().EnumerateLines())
            trimmed.Append(line.TrimEnd(' ')).Append('\n');
        return trimmed.ToString();
    }

    // Spectre's own output asks the terminal for its size, and that sends it escape codes.
    private sealed class PlainOutput(TextWriter writer) : IAnsiConsoleOutput
    {
        public TextWriter Writer => writer;

        public bool IsTerminal => false;

        public int Width => Unlimited;

        public int Height => Unlimited;

        public void SetEncoding(Encoding encoding)
        {
            // Text stays text here.
        }
    }
}
