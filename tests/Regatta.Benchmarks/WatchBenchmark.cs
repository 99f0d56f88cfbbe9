using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Regatta.Protocol.V1;

namespace Regatta.Benchmarks;

/// <summary>
/// Many watches on a running node, each of a key of its own on a stream of its own, while those keys are put in turn at a fixed rate; some streams are never read. Prints how long after the put's request, and after its reply, the event came.
/// </summary>
internal sealed class WatchBenchmark
{
    private const int StreamsPerConnection = 100;

    private readonly Dictionary<string, string> _options;
    private readonly ByteString _table;
    private readonly int _watchers;
    private readonly int _stalled;
    private readonly ConcurrentDictionary<long, (long Sent, long Acknowledged)> _puts = new();
    private readonly ConcurrentQueue<(long Revision, long Came)> _events = new();

    private WatchBenchmark(Dictionary<string, string> options)
    {
        _options = options;
        _table = ByteString.CopyFromUtf8(options.GetValueOrDefault("table", "default"));
        _watchers = Number("watchers", 1000);
        _stalled = Number("stalled", 0);
    }

    public static async Task<int> RunAsync(string[] arguments)
    {
        Dictionary<string, string> options = arguments.Chunk(2).ToDictionary(static pair => pair[0].TrimStart('-'), static pair => pair[1]);
        await new WatchBenchmark(options).RunAsync();
        return 0;
    }

    private int Number(string name, int otherwise) => _options.TryGetValue(name, out string? text) ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    private static ByteString Key(int number) => ByteString.CopyFromUtf8(string.Create(CultureInfo.InvariantCulture, $"watched/{number:d5}"));

    private async Task RunAsync()
    {
        string address = "http://" + _options.GetValueOrDefault("endpoint", "127.0.0.1:8443");
        GrpcChannel[] channels = [.. Enumerable.Range(0, ((_watchers + StreamsPerConnection - 1) / StreamsPerConnection) + 1).Select(_ => GrpcChannel.ForAddress(address))];
        using CancellationTokenSource ending = new();
        TaskCompletionSource[] created = [.. Enumerable.Range(0, _watchers).Select(static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))];
        Task[] watching = [.. created.Select((begun, number) => WatchAsync(channels[1 + (number / StreamsPerConnection)], number, begun, ending.Token))];
        await Task.WhenAll(created.Select(static begun => begun.Task));
        long before = Resident();
        int puts = await PutAsync(new KV.KVClient(channels[0]));
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
        long after = Resident();
        await ending.CancelAsync();
        await Task.WhenAll(watching);
        Print(puts, before, after);
        foreach (GrpcChannel channel in channels)
            channel.Dispose();
    }

    private async Task WatchAsync(GrpcChannel channel, int number, TaskCompletionSource begun, CancellationToken ending)
    {
        using AsyncDuplexStreamingCall<WatchRequest, WatchResponse> call = new KV.KVClient(channel).Watch(cancellationToken: ending);
        await call.RequestStream.WriteAsync(new WatchRequest { Create = new CreateWatch { WatchId = 1, Table = _table, Key = Key(number) } }, ending);
        try
        {
            await call.ResponseStream.MoveNext(ending);
            begun.SetResult();
            if (number < _stalled)
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ending);
            while (await call.ResponseStream.MoveNext(ending))
            {
                long now = Stopwatch.GetTimestamp();
                foreach (WatchEvent change in call.ResponseStream.Current.Events)
                    _events.Enqueue((change.Kv.ModRevision, now));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            // The end.
        }
    }

    private async Task<int> PutAsync(KV.KVClient kv)
    {
        int rate = Number("rate", 1000), count = rate * Number("seconds", 10);
        ByteString value = ByteString.CopyFrom(new byte[Number("value-bytes", 128)]);
        List<Task> open = [];
        long began = Stopwatch.GetTimestamp();
        for (int number = 0; number < count; number++)
        {
            double due = (number / (double)rate) - Stopwatch.GetElapsedTime(began).TotalSeconds;
            if (due > 0.001)
                await Task.Delay(TimeSpan.FromSeconds(due), TimeProvider.System);
            open.Add(PutAsync(kv, Key(number % _watchers), value));
        }

        await Task.WhenAll(open);
        return count;
    }

    private async Task PutAsync(KV.KVClient kv, ByteString key, ByteString value)
    {
        long sent = Stopwatch.GetTimestamp();
        PutResponse reply = await kv.PutAsync(new PutRequest { Table = _table, Key = key, Value = value });
        _puts[(long)reply.Header.Revision] = (sent, Stopwatch.GetTimestamp());
    }

    private void Print(int puts, long before, long after)
    {
        List<double> sinceRequest = [], sinceReply = [];
        foreach ((long revision, long came) in _events)
        {
            (long sent, long acknowledged) = _puts[revision];
            sinceRequest.Add(Stopwatch.GetElapsedTime(sent, came).TotalMilliseconds);
            sinceReply.Add((came - acknowledged) * 1000.0 / Stopwatch.Frequency);
        }

        Console.WriteLine(JsonSerializer.Serialize(new
        {
            watchers = _watchers,
            stalled = _stalled,
            puts,
            events = sinceRequest.Count,
            since_request_ms = Percentiles(sinceRequest),
            since_reply_ms = Percentiles(sinceReply),
            server_rss_mb_before = before >> 20,
            server_rss_mb_after = after >> 20,
        }));
    }

    private static object Percentiles(List<double> values)
    {
        values.Sort();
        double At(double share) => values.Count == 0 ? double.NaN : Math.Round(values[(int)(share * (values.Count - 1))], 3);
        return new { p50 = At(0.5), p99 = At(0.99), max = At(1) };
    }

    private long Resident()
    {
        if (Number("server-pid", 0) is not (> 0 and var id))
            return 0;
        using Process process = Process.GetProcessById(id);
        return process.WorkingSet64;
    }
}
