using Google.Protobuf;
using Regatta.Protocol.V1;

namespace Regatta.Client;

/// <summary>
/// Writes many records with a bounded number of puts in flight. Records of one key are written in their order: the next one waits for the one
/// before. Use an instance for one run.
/// </summary>
/// <param name="client">Not disposed.</param>
/// <param name="table">The table's name.</param>
/// <param name="window">The most puts in flight, at least 1.</param>
public sealed class PutPipeline(RegattaClient client, string table, int window) : IDisposable
{
    private const int KeptFailures = 100;

    private readonly ByteString _table = ByteString.CopyFromUtf8(table);
    private readonly SemaphoreSlim _slots = new(window, window);
    private readonly Lock _lock = new();
    private readonly Dictionary<ByteString, Task> _inFlight = [];
    private readonly List<PutFailure> _failures = [];
    private long _written;
    private long _failed;
    private volatile bool _stop;

    /// <summary>Acknowledged so far. May be read by any thread while the run is on.</summary>
    public long Written => Interlocked.Read(ref _written);

    /// <summary>
    /// Writes until the records end, one fails or <paramref name="token"/> is cancelled. What is in flight then is still awaited (each put has
    /// its own deadline), so that the result is exact: every record before the first failure was written.
    /// </summary>
    /// <param name="records">In order of their positions.</param>
    /// <param name="skipRefused">Go on behind records that the node refuses. Other failures always end the run.</param>
    /// <param name="token">Ends the run early; the result says how far it came.</param>
    public async Task<PutPipelineResult> RunAsync(IAsyncEnumerable<PutRecord> records, bool skipRefused, CancellationToken token)
    {
        try
        {
            await foreach (PutRecord record in records.WithCancellation(token))
            {
                await PredecessorOf(record.Key);
                await _slots.WaitAsync(token);
                if (_stop)
                {
                    _slots.Release();
                    break;
                }
                Start(record, skipRefused);
            }
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // The caller's own wish; what was written so far matters, and the result has it.
        }
        finally
        {
            for (int i = 0; i < window; i++)
                await _slots.WaitAsync(CancellationToken.None);
        }
        return new PutPipelineResult(Written, _failed, [.. _failures.OrderBy(failure => failure.Position)], token.IsCancellationRequested);
    }

    public void Dispose() => _slots.Dispose();

    private Task PredecessorOf(ByteString key)
    {
        lock (_lock)
            return _inFlight.GetValueOrDefault(key, Task.CompletedTask);
    }

    private void Start(PutRecord record, bool skipRefused)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
            _inFlight.Add(record.Key, done.Task);
        // Owned through its slot: RunAsync takes all slots back before it returns, and PutAsync never throws.
        _ = PutAsync(record, skipRefused, done);
    }

    private async Task PutAsync(PutRecord record, bool skipRefused, TaskCompletionSource done)
    {
        try
        {
            await client.Kv.PutAsync(new PutRequest { Table = _table, Key = record.Key, Value = record.Value }, CancellationToken.None);
            Interlocked.Increment(ref _written);
        }
        catch (Exception e)
        {
            Fail(record, e, skipRefused && e is RegattaException { Kind: FailureKind.Refused });
        }
        finally
        {
            lock (_lock)
                _inFlight.Remove(record.Key);
            done.SetResult();
            _slots.Release();
        }
    }

    private void Fail(PutRecord record, Exception error, bool goOn)
    {
        if (!goOn)
            _stop = true;
        lock (_lock)
        {
            // Those that end the run are at most as many as the window; skipped ones could be as many as the records.
            if (_failed++ < KeptFailures || !goOn)
                _failures.Add(new PutFailure(record.Position, error));
        }
    }
}

/// <param name="Position">Where the record comes from, such as a line number.</param>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
public readonly record struct PutRecord(long Position, ByteString Key, ByteString Value);

/// <param name="Position">Of the record that was not written, or whose fate is unknown.</param>
/// <param name="Error">A <see cref="RegattaException"/>, unless something is broken.</param>
public sealed record PutFailure(long Position, Exception Error);

/// <param name="Written">Records that were acknowledged.</param>
/// <param name="Failed">Records that were not.</param>
/// <param name="Failures">By position; the first 100 of those that were skipped, and all that ended the run.</param>
/// <param name="Cancelled">The caller ended the run before its records did.</param>
public sealed record PutPipelineResult(long Written, long Failed, IReadOnlyList<PutFailure> Failures, bool Cancelled);
