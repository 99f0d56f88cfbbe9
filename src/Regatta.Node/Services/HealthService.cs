using Grpc.Core;
using Grpc.Health.V1;

namespace Regatta.Node;

/// <summary>
/// grpc.health.v1 for the node (the empty name, and the names of its services) and for each table by its name.
/// </summary>
internal sealed class HealthService(Readiness readiness, TimeProvider time) : Health.HealthBase
{
    // How late a watcher may learn of a change. Groups do not announce theirs, and looking is a few loads from memory.
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(250);

    private static readonly HashSet<string> NodeNames =
        ["", "regatta.v1.KV", "regatta.v1.Cluster", "regatta.v1.Tables", "regatta.v1ext.Site"];

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        HealthCheckResponse.Types.ServingStatus status = Status(request.Service);
        return status == HealthCheckResponse.Types.ServingStatus.ServiceUnknown
            ? throw new RpcException(new Status(StatusCode.NotFound, $"'{request.Service}' is neither a table nor a service of this node"))
            : Task.FromResult(new HealthCheckResponse { Status = status });
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        CancellationToken cancelled = context.CancellationToken;
        using PeriodicTimer timer = new(Period, time);
        HealthCheckResponse.Types.ServingStatus? sent = null;
        do
        {
            HealthCheckResponse.Types.ServingStatus status = Status(request.Service);
            if (status != sent)
                await responseStream.WriteAsync(new HealthCheckResponse { Status = status }, cancelled);
            sent = status;
        }
        while (!readiness.IsStopping && await timer.WaitForNextTickAsync(cancelled));
    }

    private HealthCheckResponse.Types.ServingStatus Status(string name)
    {
        bool? ready = readiness.IsReady(name) ?? (NodeNames.Contains(name) ? readiness.Reasons().Count == 0 : null);
        return ready switch
        {
            null => HealthCheckResponse.Types.ServingStatus.ServiceUnknown,
            true => HealthCheckResponse.Types.ServingStatus.Serving,
            false => HealthCheckResponse.Types.ServingStatus.NotServing,
        };
    }
}
