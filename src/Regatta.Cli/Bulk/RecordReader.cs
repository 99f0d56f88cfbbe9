using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Regatta.Client;

namespace Regatta.Cli;

/// <summary>Reads records line by line. One run per instance. <see cref="BytesRead"/> may be read by any thread.</summary>
/// <param name="input">JSON lines.</param>
/// <param name="fromLine">Lines before it are skipped unread; counted from 1.</param>
/// <param name="skipMalformed">Go on behind lines that are not records.</param>
internal sealed class RecordReader(Stream input, long fromLine, bool skipMalformed)
{
    // The largest value, with every byte escaped as \u00NN, fits many times over; without a bound a file without line breaks would fill the memory.
    private const int MaxLineBytes = 64 << 20;

    private const int KeptErrors = 100;

    private readonly List<LineError> _errors = [];
    private long _line;
    private long _bytesRead;

    public long BytesRead => Interlocked.Read(ref _bytesRead);

    /// <summary>Lines that are not records: the first, or with skipMalformed the first 100.</summary>
    public IReadOnlyList<LineError> Errors => _errors;

    public long Malformed { get; private set; }

    /// <summary>Ends at the end of the input or, unless malformed lines are skipped, at the first of these.</summary>
    public async IAsyncEnumerable<PutRecord> ReadAsync([EnumeratorCancellation] CancellationToken token)
    {
        PipeReader reader = PipeReader.Create(input, new StreamPipeReaderOptions(bufferSize: 128 << 10, leaveOpen: true));
        try
        {
            for (bool end = false; !end;)
            {
                ReadResult result = await reader.ReadAsync(token);
                ReadOnlySequence<byte> rest = result.Buffer;
                end = result.IsCompleted;
                while (TakeLine(ref rest, end, out ReadOnlySequence<byte> line))
                {
                    if (Parse(line) is { } record)
                        yield return record;
                    else if (Malformed > 0 && !skipMalformed)
                        yield break;
                }
                reader.AdvanceTo(rest.Start, rest.End);
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    private bool TakeLine(ref ReadOnlySequence<byte> rest, bool end, out ReadOnlySequence<byte> line)
    {
        if (rest.PositionOf((byte)'\n') is { } feed)
        {
            line = rest.Slice(0, feed);
            Interlocked.Add(ref _bytesRead, line.Length + 1);
            rest = rest.Slice(rest.GetPosition(1, feed));
            return true;
        }
        // A line that is too long is taken in pieces: the first one is the error.
        line = rest;
        if (rest.IsEmpty || !(end || rest.Length > MaxLineBytes))
            return false;
        Interlocked.Add(ref _bytesRead, line.Length);
        rest = rest.Slice(rest.End);
        return true;
    }

    private PutRecord? Parse(ReadOnlySequence<byte> line)
    {
        _line++;
        if (_line < fromLine)
            return null;
        if (line.Length > MaxLineBytes)
            return Wrong($"the line is longer than {MaxLineBytes >> 20} MiB");
        ReadOnlySpan<byte> text = line.IsSingleSegment ? line.FirstSpan : line.ToArray();
        if (_line == 1 && text.StartsWith("\uFEFF"u8))
            text = text["\uFEFF"u8.Length..];
        text = text.Trim(" \t\r"u8);
        if (text.IsEmpty)
            return null;
        string? error = RecordLine.TryParse(text, out ByteString key, out ByteString value);
        return error is null ? new PutRecord(_line, key, value) : Wrong(error);
    }

    private PutRecord? Wrong(string error)
    {
        Malformed++;
        if (_errors.Count < KeptErrors)
            _errors.Add(new LineError(_line, error, ExitCode.Failed));
        return null;
    }
}

/// <summary>A line that was not written, why, and the exit code that goes with the reason.</summary>
internal sealed record LineError(long Line, string Message, int ExitCode);
