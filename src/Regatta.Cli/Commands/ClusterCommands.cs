using System.CommandLine;
using Regatta.Client;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;

namespace Regatta.Cli;

/// <summary><c>regatta cluster</c>.</summary>
internal static class ClusterCommands
{
    private static readonly Column[] MemberColumns = [new("name"), new("id"), new("client_urls"), new("peer_urls")];

    private static readonly Column[] StatusColumns =
    [
        new("table"), new("leader"), new("term"), new("revision"), new("first_index"), new("last_index"), new("committed_index"),
        new("applied_index"), new("durable_index"), new("log_bytes"), new("db_bytes"),
    ];

    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Command cluster = new("cluster", "Look at a site: its nodes, and how its tables are; move leadership from node to node.")
        {
            MakeMembers(common, surroundings), MakeStatus(common, surroundings), MakeMoveLeader(common, surroundings),
        };
        cluster.Add(common.Output);
        common.AddConnection(cluster);
        return cluster;
    }

    private static Command MakeMembers(CommonOptions common, Surroundings surroundings)
    {
        Command command = new("members", "List the nodes of the site.");
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            MemberListResponse reply = await client.Cluster.MembersAsync(token);
            OutputSink output = new(surroundings.Output);
            Records.Write(
                output, common.Format(parsed, OutputFormat.Table), MemberColumns,
                [.. reply.Members.Select(member => (object[])[member.Name, member.Id, member.ClientURLs.ToArray(), member.PeerURLs.ToArray()])]);
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command MakeStatus(CommonOptions common, Surroundings surroundings)
    {
        Option<bool> config = new("--config") { Description = "Print the node's effective settings instead, secrets masked." };
        Command command = new("status", "Show how the tables of the answering node are. Exit code 1 if one of them has a fault.") { config };
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            StatusResponse reply = await client.Cluster.StatusAsync(parsed.GetValue(config), token);
            OutputSink output = new(surroundings.Output);
            OutputFormat format = common.Format(parsed, OutputFormat.Table);
            if (parsed.GetValue(config))
                Records.Write(output, format, [new("option"), new("value")], [.. Settings(reply)]);
            else
                Records.Write(output, format, StatusColumns, [.. Tables(reply)]);
            await output.FlushAsync(token);
            foreach (string error in reply.Errors)
                ErrorReport.Write(surroundings.Error, error, "");
            return reply.Errors.Count == 0 ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }

    private static Command MakeMoveLeader(CommonOptions common, Surroundings surroundings)
    {
        Option<ulong> to = new("--to") { Description = "The id of the node that is to lead; `cluster members` lists them.", HelpName = "NODE", Required = true };
        Command command = new("move-leader", "Hand the leadership of a table over to another node; done when that node leads.") { common.Table, to };
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            string table = parsed.GetValue(common.Table)!;
            MoveLeaderResponse reply = await client.Site.MoveLeaderAsync(table, parsed.GetValue(to), token);
            OutputSink output = new(surroundings.Output);
            Records.WriteOne(output, common.Format(parsed, OutputFormat.Simple), [new("table"), new("leader")], [table, reply.Leader]);
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }

    private static IEnumerable<object[]> Settings(StatusResponse reply) => (reply.Config?.Fields ?? [])
        .OrderBy(field => field.Key, StringComparer.Ordinal)
        .Select(field => (object[])[field.Key, field.Value.HasStringValue ? field.Value.StringValue : field.Value.ToString()]);

    private static IEnumerable<object[]> Tables(StatusResponse reply) => reply.Tables
        .OrderBy(table => table.Key, StringComparer.Ordinal)
        .Select(table => (object[])
        [
            table.Key, table.Value.Leader, table.Value.RaftTerm, table.Value.Revision, table.Value.FirstLogIndex, table.Value.LastLogIndex,
            table.Value.RaftIndex, table.Value.RaftAppliedIndex, table.Value.DurableIndex, table.Value.LogSize, table.Value.DbSize,
        ]);
}
