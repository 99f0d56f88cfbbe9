using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary>
/// Transactions as text. Lines compares:, success: and failure: begin the sections, in any order; without them the sections follow one another in
/// this order with one empty line between them, as in etcdctl. Lines that begin with # are comments.
/// </summary>
internal static class TxnText
{
    private static readonly string[] Headings = ["compares:", "success:", "failure:"];

    /// <param name="text">The whole transaction.</param>
    /// <param name="table">The table it is for.</param>
    /// <exception cref="CommandException">The text is wrong; the sentence names the line.</exception>
    public static TxnRequest Parse(string text, string table)
    {
        TxnRequest request = new() { Table = Google.Protobuf.ByteString.CopyFromUtf8(table) };
        string[] lines = text.Replace("\r\n", "\n", StringComparison.Ordinal).TrimEnd('\n').Split('\n');
        bool withHeadings = lines.Any(line => Array.IndexOf(Headings, line.Trim()) >= 0);
        int section = withHeadings ? -1 : 0;
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].Trim();
            if (line.StartsWith('#') || (line.Length == 0 && withHeadings))
                continue;
            if (line.Length == 0)
                section++;
            else if (withHeadings && Array.IndexOf(Headings, line) is >= 0 and int heading)
                section = heading;
            else
                Add(request, section, line, i + 1);
        }
        return request;
    }

    private static void Add(TxnRequest request, int section, string line, int number)
    {
        try
        {
            if (section == 0)
                request.Compare.Add(TxnCompareLine.Parse(line));
            else if (section is 1 or 2)
                (section == 1 ? request.Success : request.Failure).Add(TxnOperationLine.Parse(line));
            else
                throw new FormatException(section < 0
                    ? "a section must begin first: compares:, success: or failure:"
                    : "this would be a fourth section; empty lines separate compares, success and failure, "
                        + "or write compares:, success: and failure: above them");
        }
        catch (FormatException e)
        {
            throw CommandException.Usage($"transaction, line {number}: {e.Message}");
        }
    }
}
