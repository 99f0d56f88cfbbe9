using System.CommandLine;
using System.Text;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

internal static class KvTxnCommand
{
    /// <summary>Shown by --help and in docs/cli.md; a test parses it.</summary>
    public const string Example = """
        # Take the lock if nobody has it, else say who has.
        compares:
        missing("lock")
        value("mode") = "open"

        success:
        put lock "node 7"
        get limits/ --prefix

        failure:
        get lock
        """;

    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> file = new("FILE")
        {
            Description = "The transaction's text; - is standard input.",
            DefaultValueFactory = _ => "-",
        };
        Command command = new("txn",
            "Run a transaction: if all compares hold the success operations, else the failure operations, all at one revision.") { file };
        command.Add(common.Session);
        command.SetAction(async (parsed, token) =>
        {
            TxnRequest request = TxnText.Parse(await ReadAsync(parsed.GetValue(file)!, surroundings, token), parsed.GetValue(common.Table)!);
            using RegattaClient client = common.Connect(parsed);
            TxnResponse reply = await client.Kv.TxnAsync(request, token);
            OutputSink output = new(surroundings.Output);
            new TxnReply(request, reply).Write(output, common.Format(parsed, OutputFormat.Simple));
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<string> ReadAsync(string file, Surroundings surroundings, CancellationToken token)
    {
        // A byte that is not UTF-8 would become another key or value: refuse instead.
        UTF8Encoding strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        if (file == "-" && surroundings.InputIsTerminal)
            await surroundings.Error.WriteLineAsync("reading the transaction from the terminal; end it with Ctrl-D");
        try
        {
            using StreamReader reader = file == "-" ? new StreamReader(surroundings.Input, strict, leaveOpen: true) : new StreamReader(file, strict);
            return await reader.ReadToEndAsync(token);
        }
        catch (DecoderFallbackException)
        {
            throw CommandException.Usage("the transaction is not UTF-8", "write such bytes as \\xNN within double quotes");
        }
    }
}
