namespace Regatta.Client;

/// <summary>
/// A site's KV, Tables, Cluster and Site calls. Requests and replies are the protocol's own messages; what this adds is failover, deadlines, one kind
/// of error and bulk writes. Opens connections when they are needed. Thread-safe.
/// </summary>
public sealed class RegattaClient : IDisposable
{
    private readonly CallRunner _runner;

    public RegattaClient(ClientOptions options)
    {
        _runner = new CallRunner(options);
        Kv = new KeyValueCalls(_runner);
        Tables = new TableCalls(_runner);
        Cluster = new ClusterCalls(_runner);
        Site = new SiteCalls(_runner);
    }

    public KeyValueCalls Kv { get; }

    public TableCalls Tables { get; }

    public ClusterCalls Cluster { get; }

    public SiteCalls Site { get; }

    public void Dispose() => _runner.Dispose();
}
