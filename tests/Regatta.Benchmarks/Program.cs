using Regatta.Benchmarks;

return args switch
{
    ["raft", .. var rest] => await RaftBenchmark.RunAsync(rest),
    ["watch", .. var rest] => await WatchBenchmark.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        usage: dotnet run -c Release --project tests/Regatta.Benchmarks -- raft [--groups 1,100] [--callers 1,64,256] [--seconds 5] [--warmup 3]
                   [--value-bytes 128] [--idle-seconds 0] [--directory DIR]
        Puts through ITableGroup, in this process: batcher, log with its syncs, applier and RocksDB; no gRPC.

               dotnet run -c Release --project tests/Regatta.Benchmarks -- watch [--endpoint 127.0.0.1:8443] [--table default] [--watchers 1000] [--stalled 0] [--rate 1000]
                   [--seconds 10] [--value-bytes 128] [--server-pid PID]
        Watches on a node that runs, each of a key of its own, those keys put in turn: how long after a put its event comes, and what the node holds in memory before and after.
        """);
    return 2;
}
