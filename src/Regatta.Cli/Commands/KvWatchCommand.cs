using System.CommandLine;
using Google.Protobuf;
using Regatta.Client;
using Regatta.Protocol.V1;
using KeyValue = Regatta.Protocol.Mvcc.KeyValue;

namespace Regatta.Cli;

internal static class KvWatchCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> key = new("KEY") { Description = "The key." };
        Argument<string?> end = new("RANGE_END")
        {
            Description = "Watch the keys from KEY up to, but not including, this one.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> prefix = new("--prefix") { Description = "Watch all keys that begin with KEY; an empty KEY means all." };
        Option<ulong> from = new("--from-revision")
        {
            Description = "Begin with the changes of this table revision, past ones too as far as the node keeps them. Without it: what changes from now on.",
            HelpName = "REVISION",
        };
        Option<bool> previous = new("--prev-kv") { Description = "Print with each change the value that it replaced: a fifth column. A value that the node does not keep any more is (not kept), and in JSON a prev_kv of version 0." };
        Option<bool> escaped = BytesArgument.MakeEscapedOption();
        Command command = new("watch",
            "Print every change of a key or a range as it comes, in order, until Ctrl-C. Goes on at the next endpoint, of the same site or another, when a node goes away. A line is REVISION, PUT or DELETE, key and value, with tabs between; "
                + "-o jsonl for scripts.") { key, end, prefix, from, previous, escaped };
        command.SetAction(async (parsed, token) =>
        {
            OutputFormat format = common.Format(parsed, OutputFormat.Simple);
            if (format is OutputFormat.Json or OutputFormat.Table)
                throw CommandException.Usage("a watch has no end, so it cannot be one document or table", "use -o jsonl or -o simple");
            KeySelection keys = parsed.GetValue(prefix) && parsed.GetValue(key)!.Length == 0 ? KeySelection.All : KeySelection.Of(parsed, key, end, prefix, escaped);
            CreateWatch request = new()
            {
                Table = ByteString.CopyFromUtf8(parsed.GetValue(common.Table)!),
                Key = keys.Key,
                RangeEnd = keys.RangeEnd,
                StartRevision = parsed.GetValue(from),
                PrevKv = parsed.GetValue(previous),
            };
            using RegattaClient client = common.Connect(parsed);
            OutputSink output = new(surroundings.Output);
            try
            {
                await foreach (WatchResponse message in client.Kv.WatchAsync(request, token))
                {
                    foreach (WatchEvent change in message.Events)
                        Print(output, format, change);
                    await output.FlushAsync(token);
                }
            }
            catch (OperationCanceledException) when (token.IsCancellationRequested)
            {
                // That is how a watch is ended.
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static void Print(OutputSink output, OutputFormat format, WatchEvent change)
    {
        bool isPut = change.Type == WatchEvent.Types.Type.Put;
        if (format == OutputFormat.JsonLines)
        {
            KeyValueJson.WriteNumber(output, "{\"revision\":"u8, change.Kv.ModRevision);
            output.WriteRaw(isPut ? ",\"type\":\"put\",\"kv\":"u8 : ",\"type\":\"delete\",\"kv\":"u8, newLine: false);
            KeyValueJson.Write(output, change.Kv, withValue: isPut, withRevisions: isPut);
            if (change.PrevKv is { } previous)
            {
                output.WriteRaw(",\"prev_kv\":"u8, newLine: false);
                KeyValueJson.Write(output, previous, withValue: IsKept(previous), withRevisions: true);
            }

            output.WriteRaw("}"u8, newLine: true);
        }
        else
        {
            string value = isPut ? "\t" + EscapedText.Of(change.Kv.Value.Span) : "";
            string replaced = change.PrevKv is { } previous ? (isPut ? "\t" : "\t\t") + (IsKept(previous) ? EscapedText.Of(previous.Value.Span) : "(not kept)") : "";
            output.WriteLine($"{change.Kv.ModRevision}\t{(isPut ? "PUT" : "DELETE")}\t{EscapedText.Of(change.Kv.Key.Span)}{value}{replaced}");
        }
    }

    private static bool IsKept(KeyValue previous) => previous.Version > 0;
}
