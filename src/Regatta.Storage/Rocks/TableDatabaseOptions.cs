using RocksDbSharp;

namespace Regatta.Storage.Rocks;

/// <summary>
/// RocksDB's options for one table: three families, no WAL, flushed together. Disposed as soon as the database is open.
/// </summary>
internal sealed class TableDatabaseOptions : IDisposable
{
    /// <summary>Data is RocksDB's default family, which exists in any case; a fourth, empty one would cost memory per table.</summary>
    internal static readonly string[] FamilyNames = ["default", "changelog", "meta"];

    private const int CompressionNone = 0;
    private const int CompressionLz4 = 4;
    private const int InfoLogWarnings = 2;
    private const int BinarySearchAndHash = 1;
    private const double HashLoad = 0.75;
    // Footers and offsets are covered by checksums from 6 on: a block that was moved is found, not only one that was changed.
    private const int TableFormat = 6;
    private static readonly Native Rocks = Native.Instance;
    private readonly SharedResources _shared;
    private readonly StorageOptions _wanted;

    internal TableDatabaseOptions(SharedResources shared, StorageOptions options, bool create)
    {
        _shared = shared;
        _wanted = options;
        Database = DatabaseWide(create);
        Families = [Data(), Changelog(), Meta()];
    }

    internal nint Database { get; }

    internal nint[] Families { get; }

    public void Dispose()
    {
        foreach (nint family in Families) Rocks.rocksdb_options_destroy(family);
        Rocks.rocksdb_options_destroy(Database);
    }

    private nint DatabaseWide(bool create)
    {
        nint options = Rocks.rocksdb_options_create();
        // Never on a directory that exists: a lost CURRENT file must not look like a new table.
        Rocks.rocksdb_options_set_create_if_missing(options, AsByte(create));
        Rocks.rocksdb_options_set_create_missing_column_families(options, AsByte(create));
        Rocks.rocksdb_options_set_error_if_exists(options, AsByte(create));
        Rocks.rocksdb_options_set_env(options, _shared.Env);
        Rocks.rocksdb_options_set_write_buffer_manager(options, _shared.WriteBuffers);
        // Without it the families reach the disk one by one, and a crash leaves the applied index ahead of the data.
        Rocks.rocksdb_options_set_atomic_flush(options, 1);
        // Closing without a flush is the same as a crash; whoever wants a flush asks for it.
        Rocks.rocksdb_options_set_avoid_flush_during_shutdown(options, 1);
        Rocks.rocksdb_options_set_paranoid_checks(options, 1);
        Rocks.rocksdb_options_set_verify_sst_unique_id_in_manifest(options, 1);
        // A failed flush or compaction stops the node; RocksDB must not resume behind our back.
        Rocks.rocksdb_options_set_max_bgerror_resume_count(options, 0);
        // All files open: a damaged or missing one is found at start, and a dropped table's views go on.
        Rocks.rocksdb_options_set_max_open_files(options, -1);
        // One writer per table.
        Rocks.rocksdb_options_set_allow_concurrent_memtable_write(options, 0);
        Rocks.rocksdb_options_set_max_background_jobs(options, _wanted.CompactionThreads + _wanted.FlushThreads);
        Housekeeping(options);
        return options;
    }

    /// <summary>What would cost an idle table memory, disk or wake-ups.</summary>
    private static void Housekeeping(nint options)
    {
        Rocks.rocksdb_options_set_info_log_level(options, InfoLogWarnings);
        Rocks.rocksdb_options_set_keep_log_file_num(options, (nuint)2);
        Rocks.rocksdb_options_set_max_log_file_size(options, (nuint)(1 << 20));
        Rocks.rocksdb_options_set_stats_dump_period_sec(options, 0);
        Rocks.rocksdb_options_set_stats_persist_period_sec(options, 0);
        Rocks.rocksdb_options_set_manifest_preallocation_size(options, (nuint)(64 << 10));
        Rocks.rocksdb_options_set_max_manifest_file_size(options, (nuint)(4 << 20));
        Rocks.rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    }

    private nint Data()
    {
        nint options = Family();
        nint table = Table(_wanted.BlockBytes);
        Rocks.rocksdb_block_based_options_set_filter_policy(table, Rocks.rocksdb_filterpolicy_create_bloom_full(_wanted.FilterBitsPerKey));
        Rocks.rocksdb_block_based_options_set_data_block_index_type(table, BinarySearchAndHash);
        Rocks.rocksdb_block_based_options_set_data_block_hash_ratio(table, HashLoad);
        Use(options, table);
        // Level 0 and the first level behind it hold what is new and rewritten often: no CPU for compression there.
        int[] levels = [CompressionNone, CompressionNone, CompressionLz4, CompressionLz4, CompressionLz4, CompressionLz4, CompressionLz4];
        Rocks.rocksdb_options_set_compression_per_level(options, levels, (nuint)levels.Length);
        return options;
    }

    private nint Changelog()
    {
        // Keys only grow, so files move down unread as long as both levels compress alike: not at all.
        nint options = Family();
        Use(options, Table(32 << 10));
        return options;
    }

    private nint Meta()
    {
        nint options = Family();
        Use(options, Table(4 << 10));
        return options;
    }

    private nint Family()
    {
        nint options = Rocks.rocksdb_options_create();
        Rocks.rocksdb_options_set_env(options, _shared.Env);
        Rocks.rocksdb_options_set_write_buffer_size(options, (nuint)_wanted.TableWriteBufferBytes);
        Rocks.rocksdb_options_set_max_write_buffer_number(options, 4);
        // What a table in use holds at least, three times.
        Rocks.rocksdb_options_set_arena_block_size(options, (nuint)(32 << 10));
        Rocks.rocksdb_options_set_compression(options, CompressionNone);
        Rocks.rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
        Rocks.rocksdb_options_set_target_file_size_base(options, 64ul << 20);
        Rocks.rocksdb_options_set_force_consistency_checks(options, 1);
        return options;
    }

    private nint Table(int blockBytes)
    {
        nint table = Rocks.rocksdb_block_based_options_create();
        Rocks.rocksdb_block_based_options_set_block_cache(table, _shared.BlockCache);
        Rocks.rocksdb_block_based_options_set_block_size(table, (nuint)blockBytes);
        Rocks.rocksdb_block_based_options_set_format_version(table, TableFormat);
        // In the cache, so that memory stays bounded however large the tables grow.
        Rocks.rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
        Rocks.rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
        Rocks.rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
        return table;
    }

    private static void Use(nint options, nint table)
    {
        Rocks.rocksdb_options_set_block_based_table_factory(options, table);
        Rocks.rocksdb_block_based_options_destroy(table);
    }

    private static byte AsByte(bool value) => value ? (byte)1 : (byte)0;
}
