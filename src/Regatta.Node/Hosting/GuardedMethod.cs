using System.Diagnostics;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>One method with what surrounds each of its calls: statistics, the reply's encoding, and <see cref="CallGuard.Translate"/>.</summary>
internal sealed class GuardedMethod(CallGuard guard, MethodStatistics statistics)
{
    // A call that completes at once, as most reads do, costs neither a task nor a state machine here.
    public Task<TResponse> RunAsync<TRequest, TResponse>(UnaryServerMethod<TRequest, TResponse> handler, TRequest request, ServerCallContext context)
        where TRequest : class
        where TResponse : class
    {
        long started = Start();
        Task<TResponse> reply;
        try
        {
            reply = handler(request, context);
        }
        catch (Exception e)
        {
            throw Failed(e, context, started);
        }
        if (!reply.IsCompletedSuccessfully || ReplyEncoding.InKind(context) is not null)
            return FinishAsync(reply, context, started);
        statistics.Handled(StatusCode.OK, started);
        return reply;
    }

    public async Task RunAsync(Func<Task> handler, ServerCallContext context)
    {
        long started = Start();
        try
        {
            if (ReplyEncoding.InKind(context) is { } encoding)
                await ReplyEncoding.UseAsync(encoding, context);
            await handler();
            statistics.Handled(StatusCode.OK, started);
        }
        catch (Exception e)
        {
            throw Failed(e, context, started);
        }
    }

    private async Task<TResponse> FinishAsync<TResponse>(Task<TResponse> pending, ServerCallContext context, long started)
    {
        try
        {
            TResponse reply = await pending;
            if (ReplyEncoding.InKind(context) is { } encoding)
                await ReplyEncoding.UseAsync(encoding, context);
            statistics.Handled(StatusCode.OK, started);
            return reply;
        }
        catch (Exception e)
        {
            throw Failed(e, context, started);
        }
    }

    private long Start()
    {
        statistics.Started();
        return Stopwatch.GetTimestamp();
    }

    private RpcException Failed(Exception exception, ServerCallContext context, long started)
    {
        RpcException status = guard.Translate(exception, context);
        statistics.Handled(status.StatusCode, started);
        return status;
    }
}
