using System.Runtime.InteropServices;
using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>
/// RocksDB's objects behind a <see cref="StorageEnvironment"/>. RocksDB counts references itself: databases that are open keep what
/// they use when these handles go.
/// </summary>
internal sealed class SharedResources : SafeHandle
{
    private const int LastResort = 2;
    private static readonly Native Rocks = Native.Instance;

    internal SharedResources(StorageOptions options) : base(0, ownsHandle: true)
    {
        SetHandle(Rocks.rocksdb_cache_create_hyper_clock((nuint)options.BlockCacheBytes, 0));
        // Measures, and is a last resort: it flushes the table that happens to write. Soft: writers are never stalled by it.
        WriteBuffers = Rocks.rocksdb_write_buffer_manager_create((nuint)(LastResort * options.WriteBufferBytes), 0);
        Env = Rocks.rocksdb_create_default_env();
        Rocks.rocksdb_env_set_background_threads(Env, options.CompactionThreads);
        Rocks.rocksdb_env_set_high_priority_background_threads(Env, options.FlushThreads);
    }

    public override bool IsInvalid => handle == 0;

    internal nint BlockCache => handle;

    internal nint WriteBuffers { get; }

    internal nint Env { get; }

    internal long BlockCacheUsage => (long)Rocks.rocksdb_cache_get_usage(BlockCache);

    internal long WriteBufferUsage => (long)Rocks.rocksdb_write_buffer_manager_memory_usage(WriteBuffers);

    protected override bool ReleaseHandle()
    {
        Rocks.rocksdb_write_buffer_manager_destroy(WriteBuffers);
        Rocks.rocksdb_cache_destroy(handle);
        Rocks.rocksdb_env_destroy(Env);
        return true;
    }
}
