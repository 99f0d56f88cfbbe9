using Regatta.Benchmarks;

return args switch
{
    ["raft", .. var rest] => await RaftBenchmark.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        usage: dotnet run -c Release --project tests/Regatta.Benchmarks -- raft [--groups 1,100] [--callers 1,64,256] [--seconds 5] [--warmup 3]
                   [--value-bytes 128] [--idle-seconds 0] [--directory DIR]
        Puts through ITableGroup, in this process: batcher, log with its syncs, applier and RocksDB; no gRPC.
        """);
    return 2;
}
