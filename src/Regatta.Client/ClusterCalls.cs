using Regatta.Protocol.V1;

namespace Regatta.Client;

/// <summary>The Cluster service: what the answering node knows of itself and its site. Errors as in <see cref="KeyValueCalls"/>.</summary>
public sealed class ClusterCalls
{
    private readonly CallRunner _runner;

    internal ClusterCalls(CallRunner runner) => _runner = runner;

    public Task<MemberListResponse> MembersAsync(CancellationToken token) =>
        _runner.ReadAsync((invoker, options) => new Cluster.ClusterClient(invoker).MemberListAsync(new MemberListRequest(), options), token);

    /// <param name="config">Whether the node's effective settings are wanted too.</param>
    /// <param name="token">Cancels the call.</param>
    public Task<StatusResponse> StatusAsync(bool config, CancellationToken token) =>
        _runner.ReadAsync((invoker, options) => new Cluster.ClusterClient(invoker).StatusAsync(new StatusRequest { Config = config }, options), token);
}
