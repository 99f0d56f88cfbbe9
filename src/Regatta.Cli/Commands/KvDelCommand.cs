using System.CommandLine;
using Google.Protobuf;
using Regatta.Client;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

internal static class KvDelCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> key = new("KEY") { Description = "The key." };
        Argument<string?> end = new("RANGE_END")
        {
            Description = "Delete the keys from KEY up to, but not including, this one.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> prefix = new("--prefix") { Description = "Delete all keys that begin with KEY." };
        Option<bool> previous = new("--prev-kv") { Description = "Print the pairs that are deleted, and their number." };
        Option<bool> count = new("--count") { Description = "Print how many keys were deleted." };
        Option<bool> escaped = BytesArgument.MakeEscapedOption();
        Command command = new("del", "Delete a key or a range of keys. Deleting nothing is no error.") { key, end, prefix, previous, count, escaped };
        command.Add(common.Session);
        command.SetAction(async (parsed, token) =>
        {
            KeySelection keys = KeySelection.Of(parsed, key, end, prefix, escaped);
            DeleteRangeRequest request = new()
            {
                Table = ByteString.CopyFromUtf8(parsed.GetValue(common.Table)!),
                Key = keys.Key,
                RangeEnd = keys.RangeEnd,
                PrevKv = parsed.GetValue(previous),
                Count = parsed.GetValue(count),
            };
            using RegattaClient client = common.Connect(parsed);
            DeleteRangeResponse reply = await client.Kv.DeleteRangeAsync(request, token);
            OutputSink output = new(surroundings.Output);
            WriteReply reported = new(reply.Header, request.Count || request.PrevKv ? reply.Deleted : null, reply.PrevKvs);
            reported.Write(output, common.Format(parsed, OutputFormat.Simple));
            await output.FlushAsync(token);
            return ExitCode.Ok;
        });
        return command;
    }
}
