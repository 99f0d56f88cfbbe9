using System.Globalization;
using Regatta.Client;

namespace Regatta.Cli;

/// <summary>What became of a load: how many records were written, and which lines were not.</summary>
internal sealed class LoadReport
{
    private readonly List<LineError> _errors;
    private readonly long _written;
    private readonly long _failed;
    private readonly bool _interrupted;

    public LoadReport(PutPipelineResult result, RecordReader reader)
    {
        IEnumerable<LineError> refused = result.Failures.Select(failure => Describe(failure));
        _errors = [.. refused.Concat(reader.Errors).OrderBy(error => error.Line)];
        _written = result.Written;
        _failed = result.Failed + reader.Malformed;
        _interrupted = result.Cancelled;
    }

    public int Code => _errors switch
    {
        [] => _interrupted ? ExitCode.Interrupted : ExitCode.Ok,
        _ when _errors.Any(error => error.ExitCode == ExitCode.OutcomeUnknown) => ExitCode.OutcomeUnknown,
        _ => _errors[0].ExitCode,
    };

    public void Write(OutputSink output, OutputFormat format, Func<int> width) =>
        Records.WriteOne(output, format, format == OutputFormat.Table ? width() : 0, [new("written"), new("failed")], [_written, _failed]);

    /// <summary>Says which lines failed, and what is certain about the others.</summary>
    /// <param name="error">Where to.</param>
    /// <param name="source">The file's name.</param>
    /// <param name="skipping">Whether the load went on behind refused records.</param>
    public void Explain(TextWriter error, string source, bool skipping)
    {
        foreach (LineError line in _errors)
            error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"regatta: {source}, line {line.Line}: {line.Message}"));
        if (_failed > _errors.Count)
            error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"regatta: and {_failed - _errors.Count} further lines"));
        if (_errors.Count > 0 && !skipping)
            error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  every line before {_errors[0].Line} is written; put it right and go on with --from-line {_errors[0].Line} (writing a record again does no harm), or skip refused records with --continue"));
        if (_interrupted)
            error.WriteLine("regatta: interrupted; the records counted as written are written");
    }

    private static LineError Describe(PutFailure failure)
    {
        (int code, string message, string hint) = ErrorReport.Describe(failure.Error, CancellationToken.None);
        return new LineError(failure.Position, hint.Length > 0 ? $"{message} ({hint})" : message, code);
    }
}
