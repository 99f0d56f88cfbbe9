using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Regatta.Node;

/// <summary>
/// Bounds the bytes of large replies that wait for their clients to take them. A reply is built when its call is, and stays in memory
/// until the client has read it; without a bound many slow readers of large ranges would take all there is. Thread-safe.
/// </summary>
/// <param name="most">Bytes; one reply is always let through, however large.</param>
internal sealed class ReplyBudget(long most)
{
    // Below it a reply costs no more than its call, and calls are bounded by connection.
    private const int Small = 16 << 10;

    private long _used;

    /// <summary>Counts the reply until its client has taken it or is gone. To be called once in a call, of a method that is served through <see cref="Holding"/>.</summary>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED.</exception>
    public void Take(long bytes, ServerCallContext context)
    {
        if (bytes < Small)
            return;
        long used = Interlocked.Add(ref _used, bytes);
        if (used > most && used != bytes)
        {
            Interlocked.Add(ref _used, -bytes);
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted,
                $"replies of {used - bytes} bytes wait for their clients to read them, and this one has {bytes} more; the limit is {most}: try again later"));
        }
        context.GetHttpContext().Features.Set(new Hold(this, bytes));
    }

    /// <summary>
    /// Serves a method so that its large replies are given back when they have been sent. The gRPC library is done with a reply as soon as it is
    /// encoded; only a flush waits for the client.
    /// </summary>
    public static RequestDelegate Holding(RequestDelegate call) => context =>
    {
        Task done = call(context);
        return done.IsCompleted && context.Features.Get<Hold>() is null ? done : SendAsync(done, context);
    };

    private static async Task SendAsync(Task call, HttpContext context)
    {
        try
        {
            await call;
            if (context.Features.Get<Hold>() is not null)
                await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone, and with it the reply.
        }
        finally
        {
            context.Features.Get<Hold>()?.Release();
        }
    }

    private sealed class Hold(ReplyBudget budget, long bytes)
    {
        public void Release() => Interlocked.Add(ref budget._used, -bytes);
    }
}
