using System.Runtime.CompilerServices;
using Grpc.Core;
using Regatta.Protocol.Channels;
using Regatta.Protocol.V1;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// The leader site's KV calls, made for a client of this site. A write goes to one node after the other as long as nothing has happened, a read as long as there is a node left that may answer.
/// Thread-safe.
/// </summary>
/// <param name="isUnderGo">The leader site is one of the Go project: its UNAVAILABLE says nothing of what became of a write.</param>
internal sealed class LeaderKv(ChannelSet leader, bool isUnderGo)
{
    private const string HereInstead = "a local read is answered here";

    /// <exception cref="RpcException">It failed; what became of it is said, and one whose fate is not known is not repeated.</exception>
    public async Task<TReply> WriteAsync<TReply>(Func<KV.KVClient, CallOptions, AsyncUnaryCall<TReply>> call, DateTime until, CallDeadline deadline)
    {
        for (int attempt = 1; ; attempt++)
        {
            ChannelRoute route = leader.Current;
            try
            {
                return await call(new KV.KVClient(route.Invoker), Options(until, deadline.Token));
            }
            catch (RpcException e) when (IsUndone(e) && attempt < leader.Count && !deadline.Token.IsCancellationRequested)
            {
                leader.Leave(route);
            }
            catch (RpcException e)
            {
                LeaveIfGone(e, route);
                throw WriteFailed(e, route, deadline);
            }
        }
    }

    /// <param name="answered">Is given the trailers of the answer.</param>
    /// <exception cref="RpcException">No node of the leader site has an answer, or it refuses.</exception>
    public async Task<TReply> ReadAsync<TReply>(
        Func<KV.KVClient, CallOptions, AsyncUnaryCall<TReply>> call, DateTime until, CallDeadline deadline, Action<Metadata> answered)
    {
        for (int attempt = 1; ; attempt++)
        {
            ChannelRoute route = leader.Current;
            try
            {
                using AsyncUnaryCall<TReply> running = call(new KV.KVClient(route.Invoker), Options(until, deadline.Token));
                TReply reply = await running;
                answered(running.GetTrailers());
                return reply;
            }
            catch (RpcException e) when (LeaveIfGone(e, route) && attempt < leader.Count && !deadline.Token.IsCancellationRequested)
            {
                // The next one is asked.
            }
            catch (RpcException e)
            {
                throw IsLate(e, deadline) ? deadline.Expired($"the leader site did not answer in time; {HereInstead}") : ReadFailed(e, route);
            }
        }
    }

    /// <summary>A stream of replies; another node goes on in its place until the first message: after that its stream would show another revision.</summary>
    public async IAsyncEnumerable<TReply> ReadAsync<TReply>(
        Func<KV.KVClient, CallOptions, AsyncServerStreamingCall<TReply>> call, DateTime until, Action<Metadata> answered, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            ChannelRoute route = leader.Current;
            using AsyncServerStreamingCall<TReply> stream = call(new KV.KVClient(route.Invoker), Options(until, cancellationToken));
            bool isStarted = false;
            while (true)
            {
                try
                {
                    if (!await stream.ResponseStream.MoveNext(cancellationToken))
                    {
                        answered(stream.GetTrailers());
                        yield break;
                    }

                    isStarted = true;
                }
                catch (RpcException e) when (LeaveIfGone(e, route) && !isStarted && attempt < leader.Count && !cancellationToken.IsCancellationRequested)
                {
                    break;
                }
                catch (RpcException e)
                {
                    throw ReadFailed(e, route);
                }

                yield return stream.ResponseStream.Current;
            }
        }
    }

    private static CallOptions Options(DateTime until, CancellationToken cancellationToken) => new(deadline: until == DateTime.MaxValue ? null : until, cancellationToken: cancellationToken);

    private static bool IsGone(RpcException e) => e.StatusCode == StatusCode.Unavailable || BrokenCall.NeverSent(e) || BrokenCall.Broke(e);

    private bool LeaveIfGone(RpcException e, ChannelRoute route)
    {
        if (!IsGone(e))
            return false;
        leader.Leave(route);
        return true;
    }

    /// <summary>Nothing has happened. Our nodes never say UNAVAILABLE of a write whose fate they do not know.</summary>
    private bool IsUndone(RpcException e) =>
#if DEBUG
        (DebugBugs.Current == DebugBug.DoubledForwardedWrite && BrokenCall.Broke(e)) ||
#endif
        BrokenCall.NeverSent(e) || (!isUnderGo && e.StatusCode == StatusCode.Unavailable && !BrokenCall.Broke(e));

    private static RpcException WriteFailed(RpcException e, ChannelRoute route, CallDeadline deadline)
    {
        if (BrokenCall.NeverSent(e))
            return new RpcException(new Status(StatusCode.Unavailable, $"{LeaderEndpoints.Describe(e, route.Address)}; {Failures.NothingHappened}, reads go on"));
        if (IsLate(e, deadline))
            return deadline.Expired("the leader site did not answer in time; " + Failures.FateUnknown);
        return BrokenCall.Broke(e)
            ? new RpcException(new Status(StatusCode.Unknown, $"{LeaderEndpoints.Describe(e, route.Address)}: {Failures.FateUnknown}"))
            : new RpcException(new Status(e.StatusCode, "leader error: " + e.Status.Detail));
    }

    private static RpcException ReadFailed(RpcException e, ChannelRoute route) => BrokenCall.NeverSent(e) || BrokenCall.Broke(e)
        ? new RpcException(new Status(StatusCode.Unavailable, $"{LeaderEndpoints.Describe(e, route.Address)}; {HereInstead}"))
        : new RpcException(new Status(e.StatusCode, "leader error: " + e.Status.Detail));

    private static bool IsLate(RpcException e, CallDeadline deadline) =>
        deadline.Token.IsCancellationRequested && e.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded;
}
