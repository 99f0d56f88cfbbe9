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

    public void Write(OutputSink output, OutputFormat format) =>
        Records.WriteOne(output, format, [new("written"), new("failed")], [_written, _failed]);

    /// <summary>Says which lines failed, and what is certain about the others.</summary>
    /// <param name="error">Where to.</param>
    /// <param name="source">The file's name.</param>
    /// <param name="skipping">Whether the load went on behind refused records.</param>
    public void Explain(TextWriter error, string source, bool skipping)
    {
        foreach ((string lines, string message) in Runs())
            error.WriteLine($"regatta: {source}, {lines}: {message}");
        if (_failed > _errors.Count)
            error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"regatta: and {_failed - _errors.Count} further lines"));
        if (_errors.Count > 0 && !skipping)
            error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  every line before {_errors[0].Line} is written; {Advice()}"));
        if (_interrupted)
            error.WriteLine("regatta: interrupted; the records counted as written are written");
    }

    private string Advice()
    {
        string goOn = string.Create(CultureInfo.InvariantCulture, $"go on with --from-line {_errors[0].Line} (writing a record again does no harm)");
        return _errors[0].ExitCode == ExitCode.Failed ? $"put it right and {goOn}, or skip such records with --continue" : goOn;
    }

    // When a connection breaks, a whole window of neighbouring lines fails for one reason.
    private IEnumerable<(string Lines, string Message)> Runs()
    {
        for (int first = 0, last; first < _errors.Count; first = last + 1)
        {
            last = first;
            while (last + 1 < _errors.Count && _errors[last + 1].Line == _errors[last].Line + 1 && _errors[last + 1].Message == _errors[first].Message)
                last++;
            yield return (last == first
                ? string.Create(CultureInfo.InvariantCulture, $"line {_errors[first].Line}")
                : string.Create(CultureInfo.InvariantCulture, $"lines {_errors[first].Line} to {_errors[last].Line}"), _errors[first].Message);
        }
    }

    private static LineError Describe(PutFailure failure)
    {
        (int code, string message, string hint) = ErrorReport.Describe(failure.Error, CancellationToken.None);
        return new LineError(failure.Position, hint.Length > 0 ? $"{message} ({hint})" : message, code);
    }
}
