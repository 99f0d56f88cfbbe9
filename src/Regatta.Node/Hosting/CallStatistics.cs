using System.Collections.Concurrent;
using System.Diagnostics;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>Counts calls by method, for /metrics. Plain counters: a metrics library's tags cost more than a read does.</summary>
internal sealed class CallStatistics
{
    private readonly ConcurrentDictionary<string, MethodStatistics> _methods = new(StringComparer.Ordinal);

    public IEnumerable<MethodStatistics> Methods => _methods.Values.OrderBy(method => method.Service + method.Name, StringComparer.Ordinal);

    public MethodStatistics Of(IMethod method) => _methods.GetOrAdd(method.FullName, _ => new MethodStatistics(method.ServiceName, method.Name));
}

/// <summary>The calls of one method since the node started. Thread-safe.</summary>
internal sealed class MethodStatistics(string service, string name)
{
    /// <summary>Upper bounds in seconds, those of the Go project; a last bucket without bound follows.</summary>
    public static readonly double[] Bounds = [.0001, .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 30];

    private static readonly double SecondsPerTick = 1.0 / Stopwatch.Frequency;

    private readonly long[] _handled = new long[17];
    private readonly long[] _buckets = new long[Bounds.Length + 1];
    private long _started;
    private long _ticks;

    public string Service { get; } = service;

    public string Name { get; } = name;

    public long StartedCount => Interlocked.Read(ref _started);

    /// <summary>Time of all calls that ended, in seconds.</summary>
    public double Seconds => Interlocked.Read(ref _ticks) * SecondsPerTick;

    public void Started() => Interlocked.Increment(ref _started);

    /// <param name="started">By <see cref="Stopwatch.GetTimestamp"/>.</param>
    public void Handled(StatusCode code, long started)
    {
        long ticks = Stopwatch.GetTimestamp() - started;
        Interlocked.Increment(ref _handled[(int)code]);
        Interlocked.Add(ref _ticks, ticks);
        int bucket = 0;
        while (bucket < Bounds.Length && ticks * SecondsPerTick > Bounds[bucket])
            bucket++;
        Interlocked.Increment(ref _buckets[bucket]);
    }

    public long HandledCount(StatusCode code) => Interlocked.Read(ref _handled[(int)code]);

    /// <summary>Calls by duration, one number for each bucket.</summary>
    public long[] Buckets() => [.. Enumerable.Range(0, _buckets.Length).Select(i => Interlocked.Read(ref _buckets[i]))];
}
