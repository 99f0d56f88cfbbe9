using System.CommandLine;
using Google.Protobuf;
using Regatta.Client;
using Regatta.Protocol.V1Ext;

namespace Regatta.Cli;

/// <summary><c>regatta table hash</c>: whether all nodes of a site hold the same.</summary>
internal static class TableHashCommand
{
    private static readonly Column[] Columns = [new("node"), new("revision"), new("hash"), new("chain_hash")];

    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Option<ulong> revision = new("--revision")
        {
            Description = "Compare at this table revision; without it at the newest one. One that is still to come is waited for until the time-out, and may turn "
                + "out a little greater: nodes stop between two log entries only. Of one that has passed, nodes only have the chain hash, while their changelogs "
                + "reach back to it.",
            HelpName = "REVISION",
        };
        Command command = new(
            "hash",
            "Compare a table between the nodes of the site: print each node's hash of the content and of the history, all at one revision, also while the table is "
                + "written to. Exit code 1 if they differ or a node has no answer. Each node reads its whole table: allow a large one a longer --timeout.")
        {
            common.Table, revision,
        };
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            string table = parsed.GetValue(common.Table)!;
            TableHashResponse reply = await client.Site.TableHashAsync(table, parsed.GetValue(revision), token);
            OutputSink output = new(surroundings.Output);
            NodeHash[] answers = [.. reply.Nodes.Where(node => node.Error.Length == 0)];
            Records.Write(output, common.Format(parsed, OutputFormat.Table), Columns, [.. answers.Select(Row)]);
            await output.FlushAsync(token);
            return Report(table, reply, answers, surroundings) ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }

    private static object[] Row(NodeHash node) => [node.NodeId, node.Revision, Hex(node.Hash), Hex(node.ChainHash)];

    private static string Hex(ByteString hash) => Convert.ToHexStringLower(hash.Span);

    // True: all nodes have answered, and no two of them differ.
    private static bool Report(string table, TableHashResponse reply, NodeHash[] answers, Surroundings surroundings)
    {
        foreach (NodeHash node in reply.Nodes.Where(node => node.Error.Length > 0))
            ErrorReport.Write(surroundings.Error, $"node {node.NodeId}: {node.Error}", "");
        // Of a revision that has passed there is no hash of the content.
        bool same = answers.Select(node => node.ChainHash).Distinct().Count() <= 1
            && answers.Select(node => node.Hash).Where(hash => !hash.IsEmpty).Distinct().Count() <= 1;
        if (!same)
        {
            ErrorReport.Write(
                surroundings.Error,
                $"the nodes do not hold the same in table {table} at revision {reply.Header.Revision}",
                "keep the data directories of all nodes and report this");
        }
        return same && answers.Length == reply.Nodes.Count;
    }
}
