using System.CommandLine;
using System.Globalization;
using Google.Protobuf;
using Regatta.Client;
using Regatta.Protocol.V1;
using KeyValue = Regatta.Protocol.Mvcc.KeyValue;

namespace Regatta.Cli;

internal static class KvDumpCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> file = new("FILE")
        {
            Description = "Where to; it appears only when it is complete. - is standard output.",
            DefaultValueFactory = _ => "-",
        };
        Option<string?> prefix = new("--prefix") { Description = "Only keys that begin with this.", HelpName = "PREFIX" };
        Option<bool> local = new("--local")
        {
            Description = "Take the node's own state. Without it the dump has every write that was acknowledged before, by whichever node.",
        };
        Option<bool> escaped = BytesArgument.MakeEscapedOption();
        Command command = new("dump",
            "Write all keys and values as JSON lines, from one point in the table's history, in the form that `kv load` reads; the same bytes "
                + "for the same state.")
        {
            file, prefix, local, escaped,
        };
        command.SetAction(async (parsed, token) =>
        {
            KeySelection keys = KeySelection.Prefix(BytesArgument.Parse(parsed.GetValue(prefix) ?? "", "--prefix", parsed.GetValue(escaped)));
            RangeRequest request = new()
            {
                Table = ByteString.CopyFromUtf8(parsed.GetValue(common.Table)!),
                Key = keys.Key,
                RangeEnd = keys.RangeEnd,
                Linearizable = !parsed.GetValue(local),
            };
            using RegattaClient client = common.Connect(parsed);
            Dump dump = new(client, request);
            if (parsed.GetValue(file) is { } path && path != "-")
                await ToFileAsync(dump, path, surroundings, token);
            else
                await dump.WriteAsync(surroundings.Output, token);
            await surroundings.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"dumped {dump.Records} records of table {parsed.GetValue(common.Table)} at revision {dump.Revision}"));
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task ToFileAsync(Dump dump, string path, Surroundings surroundings, CancellationToken token)
    {
        using AtomicFile target = new(path);
        await ProgressDisplay.RunAsync(surroundings, total: null, () => (0, dump.Records), async () =>
        {
            await dump.WriteAsync(target.Stream, token);
            return true;
        });
        target.Commit();
    }

    private sealed class Dump(RegattaClient client, RangeRequest request)
    {
        private long _records;

        public long Records => Interlocked.Read(ref _records);

        public ulong Revision { get; private set; }

        public async Task WriteAsync(Stream target, CancellationToken token)
        {
            OutputSink output = new(target);
            await foreach (RangeResponse page in client.Kv.IterateAsync(request, token))
            {
                Revision = page.Header?.Revision ?? 0;
                foreach (KeyValue pair in page.Kvs)
                {
                    KeyValueJson.Write(output, pair, withValue: true, withRevisions: false);
                    output.WriteRaw("\n"u8, newLine: false);
                    Interlocked.Increment(ref _records);
                    await output.PassOnAsync(token);
                }
            }
            await output.FlushAsync(token);
        }
    }
}
