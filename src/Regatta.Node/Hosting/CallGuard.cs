using Grpc.Core;
using Microsoft.Extensions.Logging;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>
/// Stands around every call: whatever comes out of it is a status with a sentence. Damage that a read meets is named to client and
/// operator; anything unexpected is a bug of ours, logged as such, and never brings the node down.
/// </summary>
internal sealed partial class CallGuard(CallStatistics statistics, ILogger<CallGuard> logger)
{
    public GuardedMethod Method(IMethod method) => new(this, statistics.Of(method));

    /// <summary>The status that an exception becomes.</summary>
    public RpcException Translate(Exception exception, ServerCallContext context)
    {
        switch (exception)
        {
            case RpcException status:
                return status;
            case StorageCorruptionException or InvalidDataException:
                LogDamage(exception, context.Method);
                return new RpcException(new Status(StatusCode.DataLoss, exception.Message));
            case StorageException:
                LogUnreadable(exception, context.Method);
                return new RpcException(new Status(StatusCode.Internal, exception.Message));
            case OperationCanceledException or IOException when context.CancellationToken.IsCancellationRequested:
                return new RpcException(new Status(StatusCode.Cancelled, "the call was cancelled"));
            case ObjectDisposedException:
                return new RpcException(new Status(StatusCode.Unavailable, "the table was closed while the call ran"));
            default:
                LogBug(exception, context.Method);
                return new RpcException(new Status(StatusCode.Internal, "the node made a mistake with this call; its log has the details"));
        }
    }

    [LoggerMessage(LogLevel.Critical, "{Method} met damaged data. Restore the table from a backup or from another node.")]
    private partial void LogDamage(Exception e, string method);

    [LoggerMessage(LogLevel.Error, "{Method} could not read its table. Look after the disk.")]
    private partial void LogUnreadable(Exception e, string method);

    [LoggerMessage(LogLevel.Error, "{Method} failed in a way that it must not: please report this.")]
    private partial void LogBug(Exception e, string method);
}
