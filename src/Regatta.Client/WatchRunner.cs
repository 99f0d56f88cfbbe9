using System.Runtime.CompilerServices;
using Grpc.Core;
using Regatta.Protocol.Channels;
using Regatta.Protocol.V1;

namespace Regatta.Client;

/// <summary>One watch, made again at the next endpoint whenever it breaks, from exactly where it was. For one caller.</summary>
internal sealed class WatchRunner(ChannelSet endpoints, ClientOptions options, Metadata? headers, CreateWatch request)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    // Of this client's making, and the only one on its stream.
    private readonly CreateWatch _position = new(request) { WatchId = 1 };
    private bool _hasBegun;
    private int _failures;

    /// <exception cref="RegattaException">It is refused, or the changes that come next are not kept any more; or no endpoint has ever answered.</exception>
    public async IAsyncEnumerable<WatchResponse> RunAsync([EnumeratorCancellation] CancellationToken token)
    {
        while (true)
        {
            ChannelRoute route = endpoints.Current;
            using (AsyncDuplexStreamingCall<WatchRequest, WatchResponse> call = new KV.KVClient(route.Invoker).Watch(new CallOptions(headers, cancellationToken: token)))
            {
                await OpenAsync(call, token);
                while (await NextAsync(call, route, token) is { } message)
                {
                    Note(message);
                    if (!message.Created)
                        yield return message;
                }
            }

            TimeSpan pause = FirstPause * Math.Pow(2, Math.Min(_failures, 5));
            await Task.Delay(pause < LongestPause ? pause : LongestPause, options.Clock, token);
        }
    }

    private async Task OpenAsync(AsyncDuplexStreamingCall<WatchRequest, WatchResponse> call, CancellationToken token)
    {
        try
        {
            await call.RequestStream.WriteAsync(new WatchRequest { Create = _position }, token);
        }
        catch (Exception e) when (e is RpcException or IOException or HttpRequestException or InvalidOperationException)
        {
            // A call that was refused already may not take it, nor does a connection that has just ended (whose exceptions gRPC hands on as they
            // are). Why it was, whoever reads is told, and not whoever writes.
        }
    }

    /// <returns>Null: this stream is over, and the watch goes on elsewhere.</returns>
    private Task<WatchResponse?> NextAsync(AsyncDuplexStreamingCall<WatchRequest, WatchResponse> call, ChannelRoute route, CancellationToken token) => TryAsync(
        async () =>
        {
            if (!await call.ResponseStream.MoveNext(token))
                return null;
            WatchResponse message = call.ResponseStream.Current;
            return message.End is { } end ? throw new RpcException(new Status((StatusCode)end.Code, end.Reason)) : message;
        },
        route,
        token);

    private async Task<T?> TryAsync<T>(Func<Task<T?>> step, ChannelRoute route, CancellationToken token)
    {
        try
        {
            return await step();
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Cancelled && token.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, token);
        }
        catch (RpcException e) when (CallRunner.MayMoveOn(e, isWrite: false) && (_hasBegun || ++_failures < endpoints.Count))
        {
            endpoints.Leave(route);
            if (_hasBegun)
                _failures++;
            return default;
        }
        catch (RpcException e)
        {
            throw Failure.Of(e, options.Endpoints[route.Index], isWrite: false);
        }
    }

    private void Note(WatchResponse message)
    {
        _failures = 0;
        ulong revision = message.Header.Revision;
        if (message.Created)
        {
            _hasBegun = true;
            (_position.HistoryId, _position.Incarnation) = (message.HistoryId, message.Incarnation);
            if (_position.StartRevision == 0)
                _position.StartRevision = revision + 1;
            if (_position.ChainHash.IsEmpty)
                _position.ChainHash = message.ChainHash;
        }
        else if (message.More)
        {
            bool isAsBefore = revision == _position.StartRevision;
            ulong before = isAsBefore ? _position.SkipEvents : 0;
            if (!isAsBefore)
                _position.ChainHash = message.ChainHash;
            _position.StartRevision = revision;
            _position.SkipEvents = before + (ulong)message.Events.Count(change => change.Kv.ModRevision == (long)revision);
        }
        else if (revision >= _position.StartRevision)
        {
            (_position.StartRevision, _position.SkipEvents, _position.ChainHash) = (revision + 1, 0, message.ChainHash);
        }
    }
}
