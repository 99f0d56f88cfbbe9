using System.Globalization;
using System.Text;
using Spectre.Console;

namespace Regatta.Cli;

/// <summary>Columns for eyes, without borders and escape codes, so that grep and awk can live with them too.</summary>
internal static class TableText
{
    /// <param name="headings">One per column.</param>
    /// <param name="rows">Cells without line breaks.</param>
    /// <param name="width">Longer lines are wrapped within their columns.</param>
    public static string Render(IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows, int width)
    {
        using StringWriter text = new(CultureInfo.InvariantCulture);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = width;
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
}
