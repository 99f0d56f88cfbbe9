using System.CommandLine;
using Regatta.Client;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;

namespace Regatta.Cli;

/// <summary><c>regatta site</c>.</summary>
internal static class SiteCommands
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly Column[] Columns =
        [new("table"), new("state"), new("revision"), new("leader_revision"), new("lag"), new("behind_bytes"), new("behind_ms"), new("node")];

    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Command site = new("site", "Look at a follower site: how its tables follow the leader site.")
        {
            MakeStatus(common, surroundings),
        };
        site.Add(common.Output);
        common.AddConnection(site);
        return site;
    }

    private static Command MakeStatus(CommonOptions common, Surroundings surroundings)
    {
        Option<bool> watch = new("--watch", "-w") { Description = "Show it again every second, until Ctrl-C." };
        Command command = new(
            "status",
            "Show for each table of a follower site, and for its catalogue, what it is doing, its revision and the leader site's, how many revisions and about how many bytes lie between them, for how long "
                + "it has known of revisions that it does not have yet, and which node pulls for it. Exit code 1 if a table does not follow.")
        {
            watch,
        };
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            OutputFormat format = common.Format(parsed, OutputFormat.Table);
            if (!parsed.GetValue(watch))
                return await ShowAsync(client, format, surroundings, token);
            using PeriodicTimer timer = new(Interval, surroundings.Clock);
            int code;
            do
                code = await ShowAsync(client, format, surroundings, token);
            while (await timer.WaitForNextTickAsync(token));
            return code;
        });
        return command;
    }

    private static async Task<int> ShowAsync(RegattaClient client, OutputFormat format, Surroundings surroundings, CancellationToken token)
    {
        FollowingResponse reply = await client.Site.FollowingAsync(token);
        if (!reply.IsFollower)
            throw new CommandException(ExitCode.Failed, "the node belongs to the leader site, which follows nobody", "give --endpoints of a follower site");
        OutputSink output = new(surroundings.Output);
        Records.Write(output, format, Columns, [.. reply.Tables.Select(Row)]);
        await output.FlushAsync(token);
        foreach (FollowedTable table in reply.Tables.Where(static table => table.Following.Reason.Length > 0))
            ErrorReport.Write(surroundings.Error, $"{table.Name}: {table.Following.Reason}", "");
        return reply.Tables.All(Follows) ? ExitCode.Ok : ExitCode.Failed;
    }

    private static bool Follows(FollowedTable table) => table.Following is { Reason: "", State: Following.Types.State.Following or Following.Types.State.CatchingUp };

    private static object[] Row(FollowedTable table) =>
    [
        table.Name, Word(table.Following.State), table.Revision, table.Following.LeaderRevision,
        table.Following.LeaderRevision > table.Revision ? table.Following.LeaderRevision - table.Revision : 0, table.Following.BehindBytes, table.Following.BehindMs, table.Following.NodeId,
    ];

    private static string Word(Following.Types.State state) => state switch
    {
        Following.Types.State.Elsewhere => "no puller",
        Following.Types.State.Following => "following",
        Following.Types.State.CatchingUp => "catching up",
        Following.Types.State.Snapshot => "snapshot",
        Following.Types.State.LeaderBehind => "leader behind",
        Following.Types.State.Fenced => "fenced",
        Following.Types.State.LeaderUnreachable => "leader unreachable",
        _ => "refused",
    };
}
