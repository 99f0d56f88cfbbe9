using System.Collections.Concurrent;
using Google.Protobuf;

namespace Regatta.Node;

/// <summary>Other nodes' questions that this one works on, so that they can be withdrawn: what is cancelled there goes on here otherwise. Thread-safe.</summary>
internal sealed class OpenQuestions
{
    private readonly ConcurrentDictionary<ByteString, CancellationTokenSource> _open = new();

    /// <summary>Works on a question; known as open before <paramref name="work"/> waits for the first time.</summary>
    public async Task<T> WorkAsync<T>(ByteString id, Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        using CancellationTokenSource source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _open.TryAdd(id, source);
        try
        {
            return await work(source.Token);
        }
        finally
        {
            _open.TryRemove(KeyValuePair.Create(id, source));
        }
    }

    /// <summary>Nothing if it is not open any more.</summary>
    public void Withdraw(ByteString id)
    {
        if (!_open.TryGetValue(id, out CancellationTokenSource? source))
            return;
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended.
        }
    }
}
