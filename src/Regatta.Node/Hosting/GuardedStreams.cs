using Grpc.Core;

namespace Regatta.Node;

/// <summary>
/// The replies of a call. Once the call has ended, the library's writer throws <see cref="InvalidOperationException"/>, whatever token it was given: here the call was cancelled, and
/// what is thrown as a mistake is one.
/// </summary>
internal sealed class GuardedWriter<T>(IServerStreamWriter<T> inner, ServerCallContext context) : IServerStreamWriter<T>
{
    public WriteOptions? WriteOptions
    {
        get => inner.WriteOptions;
        set => inner.WriteOptions = value;
    }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        try
        {
            await inner.WriteAsync(message, cancellationToken);
        }
        catch (InvalidOperationException e) when (context.CancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, context.CancellationToken);
        }
    }
}

/// <summary>The requests of a call, as <see cref="GuardedWriter{T}"/> is its replies.</summary>
internal sealed class GuardedReader<T>(IAsyncStreamReader<T> inner, ServerCallContext context) : IAsyncStreamReader<T>
{
    public T Current => inner.Current;

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        try
        {
            return await inner.MoveNext(cancellationToken);
        }
        catch (InvalidOperationException e) when (context.CancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, context.CancellationToken);
        }
    }
}
