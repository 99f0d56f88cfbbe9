using System.CommandLine;
using Regatta.Client;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;

namespace Regatta.Cli;

/// <summary><c>regatta table</c>.</summary>
internal static class TableCommands
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Command table = new("table", "Create, delete and list tables, and compare them between nodes.")
        {
            MakeCreate(common, surroundings), MakeDelete(common, surroundings), MakeList(common, surroundings),
            TableHashCommand.Create(common, surroundings), MakeAdopt(common, surroundings),
        };
        table.Add(common.Output);
        common.AddConnection(table);
        return table;
    }

    private static Command MakeCreate(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> name = new("NAME")
        {
            Description = "1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', the first one a letter or a digit.",
        };
        Command command = new("create", "Make an empty table; done when it accepts writes.") { name };
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            CreateTableResponse reply = await client.Tables.CreateAsync(parsed.GetValue(name)!, token);
            await PrintAsync(surroundings, output => Records.WriteOne(
                output, common.Format(parsed, OutputFormat.Simple), [new("created"), new("id")], [parsed.GetValue(name)!, reply.Id]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command MakeDelete(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> name = new("NAME") { Description = "The table." };
        Option<bool> yes = MakeYes();
        Command command = new("delete", "Delete a table with everything in it. Asks first when standard input is a terminal.") { name, yes };
        command.SetAction(async (parsed, token) =>
        {
            string table = parsed.GetValue(name)!;
            if (surroundings.InputIsTerminal && !parsed.GetValue(yes) && !await ConfirmedAsync($"Delete table {table} and all its data, at every site?", table, surroundings, token))
                throw new CommandException(ExitCode.Failed, "nothing was deleted");
            using RegattaClient client = common.Connect(parsed);
            await client.Tables.DeleteAsync(table, token);
            await PrintAsync(surroundings, output => Records.WriteOne(
                output, common.Format(parsed, OutputFormat.Simple), [new("deleted")], [table]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command MakeList(CommonOptions common, Surroundings surroundings)
    {
        Command command = new("list", "List the tables, by name.");
        command.SetAction(async (parsed, token) =>
        {
            using RegattaClient client = common.Connect(parsed);
            ListTablesResponse reply = await client.Tables.ListAsync(token);
            await PrintAsync(surroundings, output => Records.Write(
                output, common.Format(parsed, OutputFormat.Table), [new("name"), new("id")],
                [.. reply.Tables.Select(table => (object[])[table.Name, table.Id])]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command MakeAdopt(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> name = new("NAME") { Description = "The table." };
        Option<bool> yes = MakeYes();
        Command command = new(
            "adopt",
            "At a follower site: take the leader site's table in place of one that is fenced, because the leader site was set back to an older state and has written on. What only this site still has of the table is lost: keep it "
                + "with 'regatta kv dump' first. Done when it is begun; 'regatta site status' tells the rest. Asks first when standard input is a terminal.")
        {
            name, yes,
        };
        command.SetAction(async (parsed, token) =>
        {
            string table = parsed.GetValue(name)!;
            string question = $"Give up what table {table} has at this site, and take what it is at the leader site?";
            if (surroundings.InputIsTerminal && !parsed.GetValue(yes) && !await ConfirmedAsync(question, table, surroundings, token))
                throw new CommandException(ExitCode.Failed, "nothing was changed");
            using RegattaClient client = common.Connect(parsed);
            AdoptResponse reply = await client.Site.AdoptAsync(table, token);
            await PrintAsync(surroundings, output => Records.WriteOne(
                output, common.Format(parsed, OutputFormat.Simple), [new("adopting"), new("given_up_revision")], [table, reply.Header.Revision]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Option<bool> MakeYes() => new("--yes", "-y") { Description = "Do not ask." };

    private static async Task<bool> ConfirmedAsync(string question, string table, Surroundings surroundings, CancellationToken token)
    {
        await surroundings.Error.WriteAsync($"{question} Type its name to confirm: ");
        using StreamReader reader = new(surroundings.Input, leaveOpen: true);
        return (await reader.ReadLineAsync(token))?.Trim() == table;
    }

    private static async Task PrintAsync(Surroundings surroundings, Action<OutputSink> write)
    {
        OutputSink output = new(surroundings.Output);
        write(output);
        await output.FlushAsync(CancellationToken.None);
    }
}
