using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Regatta.Core;
using Regatta.Raft;
using Regatta.Storage;

namespace Regatta.Benchmarks;

/// <summary>Puts per second through the groups of one node, for some numbers of groups and of callers who each wait for their put.</summary>
internal static class RaftBenchmark
{
    public static async Task<int> RunAsync(string[] args)
    {
        Options options = Options.Parse(args);
        Console.WriteLine("groups callers     puts/s   p50 ms   p99 ms  us cpu/put  syncs/s  puts/sync  gc0/gc2");
        foreach (int groups in options.Groups)
        {
            string directory = Path.Combine(options.Directory, Guid.NewGuid().ToString("N"));
            try
            {
                await RunAsync(options, groups, directory);
            }
            finally
            {
                Directory.Delete(directory, recursive: true);
            }
        }

        return 0;
    }

    private static async Task RunAsync(Options options, int count, string path)
    {
        using NodeDirectory directory = NodeDirectory.Open(path, NodeRole.Leader, 1, null);
        await using GroupHost host = await GroupHost.OpenAsync(directory, new GroupHostOptions(), NullLoggerFactory.Instance, TimeProvider.System);
        long opened = Stopwatch.GetTimestamp();
        ITableGroup[] groups = await Task.WhenAll(Enumerable.Range(0, count).Select(number => StartAsync(host, directory, number)));
        Console.WriteLine($"# {count} new group(s) writable after {Stopwatch.GetElapsedTime(opened).TotalMilliseconds:F0} ms");
        await IdleAsync(options);
        foreach (int callers in options.Callers)
        {
            await LoadAsync(options, groups, callers, options.Warmup);
            Measurement result = await LoadAsync(options, groups, callers, options.Seconds);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count,6} {callers,7} {result}"));
        }
    }

    private static async Task<ITableGroup> StartAsync(GroupHost host, NodeDirectory directory, int number) =>
        await host.StartAsync(new GroupSpec(number + 1, $"table{number}", new Incarnation(directory.Identity.History, number)), CancellationToken.None);

    private static async Task IdleAsync(Options options)
    {
        if (options.Idle == 0)
            return;
        TimeSpan cpu = Cpu();
        await Task.Delay(TimeSpan.FromSeconds(options.Idle), TimeProvider.System);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"# idle: {(Cpu() - cpu).TotalSeconds / options.Idle * 100:F1} % of a core, {Environment.WorkingSet >> 20} MiB resident"));
    }

    private static async Task<Measurement> LoadAsync(Options options, ITableGroup[] groups, int callers, double seconds)
    {
        using SyncCounter syncs = new();
        TimeSpan cpu = Cpu();
        (int gen0, int gen2) = (GC.CollectionCount(0), GC.CollectionCount(2));
        long started = Stopwatch.GetTimestamp();
        using CancellationTokenSource stop = new(TimeSpan.FromSeconds(seconds), TimeProvider.System);
        List<long>[] latencies = await Task.WhenAll(
            Enumerable.Range(0, callers).Select(caller => Task.Run(() => PutAsync(groups[caller % groups.Length], caller, options.ValueBytes, stop.Token))));
        double elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        long[] all = [.. latencies.SelectMany(list => list).Order()];
        return new Measurement(
            all, elapsed, (Cpu() - cpu).TotalMicroseconds / all.Length, syncs.Count, GC.CollectionCount(0) - gen0, GC.CollectionCount(2) - gen2);
    }

    private static async Task<List<long>> PutAsync(ITableGroup group, int caller, int valueBytes, CancellationToken stop)
    {
        List<long> latencies = new(1 << 12);
        byte[] value = new byte[valueBytes];
        for (long sequence = 0; !stop.IsCancellationRequested; sequence++)
        {
            byte[] key = Encoding.ASCII.GetBytes($"key{caller:D5}-{sequence % 1000:D7}");
            long started = Stopwatch.GetTimestamp();
            ProposalOutcome outcome = await group.ProposeAsync(new PutCommand(key, value, false), CancellationToken.None);
            latencies.Add(Stopwatch.GetTimestamp() - started);
            if (outcome.Result is null)
                throw new InvalidOperationException($"{outcome.Failure}: {outcome.Reason}");
        }

        return latencies;
    }

    private static TimeSpan Cpu() => Environment.CpuUsage.TotalTime;

    private sealed record Measurement(long[] Latencies, double Seconds, double CpuPerPut, long Syncs, int Gen0, int Gen2)
    {
        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture,
            $"{Latencies.Length / Seconds,10:F0} {Percentile(0.5),8:F2} {Percentile(0.99),8:F2} {CpuPerPut,11:F1} {Syncs / Seconds,8:F0} {(double)Latencies.Length / Math.Max(1, Syncs),10:F1}  {Gen0}/{Gen2}");

        private double Percentile(double share) =>
            TimeSpan.FromTicks(Latencies[(int)(share * (Latencies.Length - 1))] * TimeSpan.TicksPerSecond / Stopwatch.Frequency).TotalMilliseconds;
    }

    /// <summary>Counts the log's syncs through its meter.</summary>
    private sealed class SyncCounter : IDisposable
    {
        private readonly MeterListener _listener = new();
        private long _count;

        public SyncCounter()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "regatta.raft.log.syncs")
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<long>((_, value, _, _) => Interlocked.Add(ref _count, value));
            _listener.Start();
        }

        public long Count => Interlocked.Read(ref _count);

        public void Dispose() => _listener.Dispose();
    }

    private sealed record Options(int[] Groups, int[] Callers, double Seconds, double Warmup, int ValueBytes, double Idle, string Directory)
    {
        public static Options Parse(string[] args)
        {
            Dictionary<string, string> given = args.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]);
            string Value(string name, string otherwise) => given.GetValueOrDefault(name, otherwise);
            double Number(string name, string otherwise) => double.Parse(Value(name, otherwise), CultureInfo.InvariantCulture);
            int[] Numbers(string name, string otherwise) =>
                [.. Value(name, otherwise).Split(',').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
            return new Options(
                Numbers("--groups", "1,100"), Numbers("--callers", "1,64,256"), Number("--seconds", "5"), Number("--warmup", "3"),
                (int)Number("--value-bytes", "128"), Number("--idle-seconds", "0"), Value("--directory", Path.GetTempPath()));
        }
    }
}
