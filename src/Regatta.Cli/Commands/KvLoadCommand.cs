using System.CommandLine;
using Regatta.Client;

namespace Regatta.Cli;

internal static class KvLoadCommand
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Argument<string> file = new("FILE")
        {
            Description = "JSON lines, each {\"key\": ..., \"value\": ...}, or key_b64 and value_b64 with base64; - is standard input.",
        };
        Option<int> concurrency = new("--concurrency")
        {
            Description = "Writes that are under way at a time, 1 to 1000.",
            HelpName = "N",
            DefaultValueFactory = _ => 64,
        };
        Option<bool> skip = new("--continue")
        {
            Description = "Skip records that are refused or malformed and go on; they are reported, and the exit code is 1.",
        };
        Option<long> from = new("--from-line") { Description = "Begin with this line.", HelpName = "LINE", DefaultValueFactory = _ => 1 };
        concurrency.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 1 or > 1000)
                result.AddError("--concurrency must be from 1 to 1000");
        });
        Command command = new("load",
            "Write the records of a file, each as a put of its own. Stops at the first that fails and says at which line. Records of one key "
                + "are written in their order.")
        {
            file, concurrency, skip, from,
        };
        command.SetAction(async (parsed, token) =>
        {
            string source = parsed.GetValue(file)!;
            await using Stream input = source == "-" ? surroundings.Input : File.OpenRead(source);
            RecordReader reader = new(input, parsed.GetValue(from), parsed.GetValue(skip));
            using RegattaClient client = common.Connect(parsed);
            using PutPipeline pipeline = new(client, parsed.GetValue(common.Table)!, parsed.GetValue(concurrency));
            PutPipelineResult result = await ProgressDisplay.RunAsync(
                surroundings,
                input.CanSeek ? input.Length : null,
                () => (reader.BytesRead, pipeline.Written),
                () => pipeline.RunAsync(reader.ReadAsync(token), parsed.GetValue(skip), token));
            LoadReport report = new(result, reader);
            report.Explain(surroundings.Error, source == "-" ? "standard input" : source, parsed.GetValue(skip));
            OutputSink output = new(surroundings.Output);
            report.Write(output, common.Format(parsed, OutputFormat.Simple));
            // The report is due even when the run was interrupted.
            await output.FlushAsync(CancellationToken.None);
            return report.Code;
        });
        return command;
    }
}
