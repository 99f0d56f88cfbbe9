using System.CommandLine;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

internal static class KvGetCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> key = new("KEY") { Description = "The key." };
        Argument<string?> end = new("RANGE_END")
        {
            Description = "Read the keys from KEY up to, but not including, this one.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> prefix = new("--prefix") { Description = "Read all keys that begin with KEY." };
        Option<bool> escaped = BytesArgument.MakeEscapedOption();
        ReadOptions reading = new();
        Command command = new("get",
            "Print the value of a key; with RANGE_END or --prefix, keys and values. Exit code 3 if there is nothing.") { key, end, prefix, escaped };
        reading.AddTo(command);
        command.Add(common.Session);
        command.SetAction((parsed, token) =>
        {
            KeySelection keys = KeySelection.Of(parsed, key, end, prefix, escaped);
            RangeRequest request = reading.Request(parsed, parsed.GetValue(common.Table)!, keys);
            return RunAsync(parsed, common, surroundings, request, reading, token);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        ParseResult parsed, CommonOptions common, Surroundings surroundings, RangeRequest request, ReadOptions reading, CancellationToken token)
    {
        KeyValueView view = reading.View(parsed);
        OutputFormat format = common.Format(parsed, OutputFormat.Simple);
        OutputSink output = new(surroundings.Output);
        KeyValuePrinter printer = new(output, format, view);
        using RegattaClient client = common.Connect(parsed, reading.Forwards(parsed), printer.Tell);
        if (format == OutputFormat.Simple && request.RangeEnd.IsEmpty && !view.KeysOnly && !view.CountOnly)
            return await PrintValueAsync(client, request, output, surroundings, token);
        long found = await RangeReading.PrintAsync(client, request, printer, token);
        return found > 0 || view.CountOnly ? ExitCode.Ok : NotFound(surroundings, request);
    }

    private static async Task<int> PrintValueAsync(
        RegattaClient client, RangeRequest request, OutputSink output, Surroundings surroundings, CancellationToken token)
    {
        RangeResponse reply = await client.Kv.RangeAsync(request, token);
        if (reply.Kvs.Count == 0)
            return NotFound(surroundings, request);
        // The exact bytes, except that a terminal is not a place for control characters from a database.
        ReadOnlyMemory<byte> value = reply.Kvs[0].Value.Memory;
        if (surroundings.OutputIsTerminal)
            output.WriteLine(EscapedText.ForTerminal(value.Span));
        else
            output.WriteRaw(value.Span, newLine: true);
        await output.FlushAsync(token);
        return ExitCode.Ok;
    }

    private static int NotFound(Surroundings surroundings, RangeRequest request)
    {
        string table = request.Table.ToStringUtf8();
        ErrorReport.Write(
            surroundings.Error,
            request.RangeEnd.IsEmpty ? $"{EscapedText.Of(request.Key.Span)} is not in table {table}" : $"table {table} has no key in this range",
            "");
        return ExitCode.NotFound;
    }
}
