using System.CommandLine;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary><c>regatta table</c>.</summary>
internal static class TableCommands
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Command table = new("table", "Create, delete and list tables, and compare them between nodes.")
        {
            MakeCreate(common, surroundings), MakeDelete(common, surroundings), MakeList(common, surroundings),
            TableHashCommand.Create(common, surroundings),
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
        Option<bool> yes = new("--yes", "-y") { Description = "Do not ask." };
        Command command = new("delete", "Delete a table with everything in it. Asks first when standard input is a terminal.") { name, yes };
        command.SetAction(async (parsed, token) =>
        {
            string table = parsed.GetValue(name)!;
            if (surroundings.InputIsTerminal && !parsed.GetValue(yes) && !await ConfirmedAsync(table, surroundings, token))
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

    private static async Task<bool> ConfirmedAsync(string table, Surroundings surroundings, CancellationToken token)
    {
        await surroundings.Error.WriteAsync($"Delete table {table} and all its data, at every site? Type its name to confirm: ");
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
