using System.CommandLine;
using Google.Protobuf;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

internal static class KvRangeCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string?> start = new("START") { Description = "The first key of the range.", Arity = ArgumentArity.ZeroOrOne };
        Argument<string?> end = new("END") { Description = "The key behind the range; it is not part of it.", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> prefix = new("--prefix") { Description = "All keys that begin with this.", HelpName = "PREFIX" };
        Option<string?> from = new("--from") { Description = "All keys from this one on.", HelpName = "KEY" };
        Option<bool> all = new("--all") { Description = "All keys of the table." };
        Option<bool> escaped = BytesArgument.MakeEscapedOption();
        ReadOptions reading = new();
        Command command = new("range", "Print the keys and values of a range, however long it is: all of it from one point in the table's history.")
        {
            start, end, prefix, from, all, escaped,
        };
        reading.AddTo(command);
        command.Add(common.Session);
        command.SetAction((parsed, token) =>
        {
            KeySelection keys = Selection(
                parsed.GetValue(start), parsed.GetValue(end), parsed.GetValue(prefix), parsed.GetValue(from), parsed.GetValue(all), parsed.GetValue(escaped));
            return RunAsync(parsed, common, surroundings, reading.Request(parsed, parsed.GetValue(common.Table)!, keys), reading, token);
        });
        return command;
    }

    private static KeySelection Selection(string? start, string? end, string? prefix, string? from, bool all, bool escaped)
    {
        int ways = (start is not null ? 1 : 0) + (prefix is not null ? 1 : 0) + (from is not null ? 1 : 0) + (all ? 1 : 0);
        if (ways != 1 || (start is not null && end is null))
            throw CommandException.Usage("say which keys: START END, --prefix PREFIX, --from KEY or --all, one of them");
        if (prefix is not null)
            return KeySelection.Prefix(BytesArgument.Parse(prefix, "--prefix", escaped));
        if (from is not null)
            return KeySelection.From(NotEmpty(BytesArgument.Parse(from, "--from", escaped), "--from"));
        return all ? KeySelection.All : new(NotEmpty(BytesArgument.Parse(start!, "START", escaped), "START"), KeySelection.RangeEndOf(end!, escaped));
    }

    private static ByteString NotEmpty(ByteString key, string what) =>
        key.IsEmpty ? throw CommandException.Usage($"{what} is empty", "to begin with the first key, use --all") : key;

    private static async Task<int> RunAsync(
        ParseResult parsed, CommonOptions common, Surroundings surroundings, RangeRequest request, ReadOptions reading, CancellationToken token)
    {
        KeyValueView view = reading.View(parsed);
        KeyValuePrinter printer = new(new OutputSink(surroundings.Output), common.Format(parsed, OutputFormat.Simple), view);
        using RegattaClient client = common.Connect(parsed, reading.Forwards(parsed), printer.Tell);
        await RangeReading.PrintAsync(client, request, printer, token);
        return ExitCode.Ok;
    }
}
