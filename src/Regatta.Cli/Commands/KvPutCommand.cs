using System.CommandLine;
using Google.Protobuf;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

internal static class KvPutCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> key = new("KEY") { Description = "The key." };
        Argument<string> value = new("VALUE")
        {
            Description = "The value; - reads it from standard input, @FILE from a file (to the last byte). A value that begins with @ or is - is given with "
                + "--literal.",
        };
        Option<bool> previous = new("--prev-kv") { Description = "Print the pair that is replaced." };
        Option<bool> literal = new("--literal") { Description = "VALUE is the value, even if it is - or begins with @." };
        Option<bool> escaped = BytesArgument.MakeEscapedOption();
        Command command = new("put", "Write a key.") { key, value, previous, literal, escaped };
        command.Add(common.Session);
        command.SetAction(async (parsed, token) =>
        {
            ByteString bytes = await ValueAsync(parsed.GetValue(value)!, parsed.GetValue(literal), parsed.GetValue(escaped), surroundings, token);
            PutRequest request = new()
            {
                Table = ByteString.CopyFromUtf8(parsed.GetValue(common.Table)!),
                Key = BytesArgument.Parse(parsed.GetValue(key)!, "KEY", parsed.GetValue(escaped)),
                Value = bytes,
                PrevKv = parsed.GetValue(previous),
            };
            using RegattaClient client = common.Connect(parsed);
            PutResponse reply = await client.Kv.PutAsync(request, token);
            OutputSink output = new(surroundings.Output);
            WriteReply reported = new(reply.Header, null, reply.PrevKv is { } pair ? [pair] : []);
            reported.Write(output, common.Format(parsed, OutputFormat.Simple));
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<ByteString> ValueAsync(string text, bool literal, bool escaped, Surroundings surroundings, CancellationToken token)
    {
        if (!literal && text == "-")
            return await ByteString.FromStreamAsync(surroundings.Input, token);
        if (literal || !text.StartsWith('@'))
            return BytesArgument.Parse(text, "VALUE", escaped);
        return ByteString.CopyFrom(await File.ReadAllBytesAsync(text[1..], token));
    }
}
