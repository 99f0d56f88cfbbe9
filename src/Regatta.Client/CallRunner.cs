using System.Runtime.CompilerServices;
using Grpc.Core;
using Regatta.Protocol.Channels;
using Regatta.Protocol.Sessions;
using Regatta.Protocol.V1;

namespace Regatta.Client;

/// <summary>
/// Runs calls with deadline and failover. A read goes to the next endpoint when a node is unavailable; a write only when it cannot have been
/// sent. Cancellation by the caller is an <see cref="OperationCanceledException"/>, everything else a <see cref="RegattaException"/>.
/// </summary>
internal sealed class CallRunner(ClientOptions options) : IDisposable
{
    private readonly ChannelSet _endpoints = new([.. options.Endpoints.Select(static endpoint => endpoint.Url)], new ChannelSettings
    {
        ConnectTimeout = options.ConnectTimeout,
        PingDelay = TimeSpan.FromSeconds(30),
        PingTimeout = TimeSpan.FromSeconds(10),
        MaxReceiveBytes = options.MaxReceiveBytes,
        Clock = options.Clock,
    });

    private readonly Metadata? _fixed = Fixed(options);

    public Task<TReply> ReadAsync<TReply>(Func<CallInvoker, CallOptions, AsyncUnaryCall<TReply>> call, CancellationToken token) =>
        UnaryAsync(call, isWrite: false, token);

    public Task<TReply> WriteAsync<TReply>(Func<CallInvoker, CallOptions, AsyncUnaryCall<TReply>> call, CancellationToken token) =>
        UnaryAsync(call, isWrite: true, token);

    /// <summary>
    /// A stream of replies. Fails over until the first message; after it, another node's stream would be another point in history, so it ends
    /// with an error.
    /// </summary>
    public async IAsyncEnumerable<TReply> StreamAsync<TReply>(
        Func<CallInvoker, CallOptions, AsyncServerStreamingCall<TReply>> call, [EnumeratorCancellation] CancellationToken token)
    {
        for (int attempt = 1; ; attempt++)
        {
            ChannelRoute route = _endpoints.Current;
            using CancellationTokenSource idle = CancellationTokenSource.CreateLinkedTokenSource(token);
            string? seen = options.Session?.Token;
            using AsyncServerStreamingCall<TReply> stream = call(route.Invoker, new CallOptions(Headers(seen), cancellationToken: idle.Token));
            for (bool started = false; ; started = true)
            {
                Step step = await NextAsync(stream, idle, route, seen, mayFailOver: !started && attempt < _endpoints.Count, token);
                if (step == Step.Ended)
                {
                    Seen(stream.GetTrailers());
                    yield break;
                }
                if (step == Step.TryNext)
                    break;
                yield return stream.ResponseStream.Current;
            }
        }
    }

    /// <summary>A watch that goes on at other endpoints; see <see cref="WatchRunner"/>.</summary>
    public IAsyncEnumerable<WatchResponse> WatchAsync(CreateWatch request, CancellationToken token) =>
        new WatchRunner(_endpoints, options, _fixed, request).RunAsync(token);

    public void Dispose() => _endpoints.Dispose();

    internal static bool MayMoveOn(RpcException e, bool isWrite) => BrokenCall.NeverSent(e) || (!isWrite && Failure.IsUnavailable(e));

    private async Task<TReply> UnaryAsync<TReply>(Func<CallInvoker, CallOptions, AsyncUnaryCall<TReply>> call, bool isWrite, CancellationToken token)
    {
        DateTime deadline = (options.Clock.GetUtcNow() + options.Timeout).UtcDateTime;
        for (int attempt = 1; ; attempt++)
        {
            ChannelRoute route = _endpoints.Current;
            string? seen = options.Session?.Token;
            try
            {
                using AsyncUnaryCall<TReply> running = call(route.Invoker, new CallOptions(Headers(seen), deadline, token));
                TReply reply = await running;
                Seen(running.GetTrailers());
                return reply;
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.Cancelled && token.IsCancellationRequested)
            {
                throw new OperationCanceledException(e.Message, e, token);
            }
            catch (RpcException e) when (MayMoveOn(e, isWrite))
            {
                _endpoints.Leave(route);
                if (attempt >= _endpoints.Count)
                    throw Failure.Of(e, options.Endpoints[route.Index], isWrite);
            }
            catch (RpcException e)
            {
                Seen(e.Trailers, e, seen);
                throw Failure.Of(e, options.Endpoints[route.Index], isWrite);
            }
        }
    }

    private static Metadata? Fixed(ClientOptions options)
    {
        Metadata headers = [];
        if (options.Token.Length > 0)
            headers.Add("authorization", "Bearer " + options.Token);
        if (options.ForwardReads)
            headers.Add("regatta-forward", "true");
        return headers.Count > 0 ? headers : null;
    }

    private Metadata? Headers(string? seen)
    {
        if (seen is null)
            return _fixed;
        Metadata headers = [.. _fixed ?? [], new Metadata.Entry(SessionToken.MetadataName, seen)];
        return headers;
    }

    /// <param name="refused">FAILED_PRECONDITION takes back what the call was refused for.</param>
    private void Seen(Metadata trailers, RpcException? refused = null, string? sent = null)
    {
        if (options.Session is { } session && trailers.GetValue(SessionToken.MetadataName) is { } token)
            session.Take(token, refused?.StatusCode == StatusCode.FailedPrecondition ? sent : null);
        if (options.Answered is { } answered && Provenance.Of(trailers) is { } provenance)
            answered(provenance);
    }

    private enum Step
    {
        Message,
        Ended,
        TryNext,
    }

    private async Task<Step> NextAsync<TReply>(
        AsyncServerStreamingCall<TReply> stream, CancellationTokenSource idle, ChannelRoute route, string? seen, bool mayFailOver, CancellationToken token)
    {
        try
        {
            // Only the wait for a message is timed, not what the consumer does with it.
            idle.CancelAfter(options.Timeout);
            bool more = await stream.ResponseStream.MoveNext(idle.Token);
            idle.CancelAfter(Timeout.InfiniteTimeSpan);
            return more ? Step.Message : Step.Ended;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Cancelled && token.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, token);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Cancelled && idle.IsCancellationRequested)
        {
            throw Failure.Of(new RpcException(new Status(StatusCode.DeadlineExceeded, "")), options.Endpoints[route.Index], isWrite: false);
        }
        catch (RpcException e) when (mayFailOver && MayMoveOn(e, isWrite: false))
        {
            _endpoints.Leave(route);
            return Step.TryNext;
        }
        catch (RpcException e)
        {
            Seen(e.Trailers, e, seen);
            throw Failure.Of(e, options.Endpoints[route.Index], isWrite: false);
        }
    }
}
