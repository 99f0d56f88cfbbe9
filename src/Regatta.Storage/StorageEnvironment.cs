using Regatta.Storage.Rocks;

namespace Regatta.Storage;

/// <summary>
/// What all tables of one node share: block cache, bound on write buffers, background threads, clock. Thread-safe. Dispose it after
/// the stores; one that is still open then keeps what it uses.
/// </summary>
public sealed class StorageEnvironment : IDisposable
{
    private readonly SharedResources _shared;

    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public StorageEnvironment(StorageOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(clock);
        options.Validate();
        Options = options;
        Clock = clock;
        _shared = new SharedResources(options);
    }

    public StorageOptions Options { get; }

    /// <summary>Stamps positions of the changelog, for trimming by age.</summary>
    public TimeProvider Clock { get; }

    /// <summary>Bytes in the block cache.</summary>
    public long BlockCacheUsage => Share(static shared => shared.BlockCacheUsage);

    /// <summary>Bytes of write buffers, those being flushed included.</summary>
    public long WriteBufferUsage => Share(static shared => shared.WriteBufferUsage);

    public void Dispose() => _shared.Dispose();

    /// <summary>Runs <paramref name="body"/> while the native objects are certain to be alive.</summary>
    internal T Share<T>(Func<SharedResources, T> body)
    {
        bool held = false;
        try
        {
            _shared.DangerousAddRef(ref held);
            return body(_shared);
        }
        finally
        {
            if (held) _shared.DangerousRelease();
        }
    }
}
