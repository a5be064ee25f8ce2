//! How RocksDB is set up, and why. What is not set here is RocksDB's default.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    LruCacheOptions, Options, WriteBufferManager, WriteOptions,
};

use super::super::Family;

/// How an engine uses the machine.
#[derive(Clone)]
pub struct Settings {
    /// Memory, shared with every engine that has a clone of it.
    pub memory: Memory,
    /// Room on the disk that new writes may not take: for flushes and compactions of what is already in.
    pub reserve_bytes: u64,
    /// Files that RocksDB keeps open.
    pub open_files: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: Memory::default(),
            reserve_bytes: 256 << 20,
            open_files: 256,
        }
    }
}

/// A bound on what engines keep in memory: one for the process, cloned into each engine's [`Settings`].
#[derive(Clone)]
pub struct Memory {
    cache: Cache,
    buffers: WriteBufferManager,
    buffer_bytes: usize,
}

impl Memory {
    /// `cache_bytes` for blocks read, with their indexes and filters; `buffer_bytes` for what is not flushed yet.
    ///
    /// The second is where flushes begin, so a flush in progress comes on top.
    #[must_use]
    pub fn new(cache_bytes: usize, buffer_bytes: usize) -> Self {
        let mut cache = LruCacheOptions::default();
        cache.set_capacity(cache_bytes);
        // RocksDB's 64 shards would be too small each for one large index.
        cache.set_num_shard_bits(3);
        Self {
            cache: Cache::new_lru_cache_opts(&cache),
            // No stalls: one engine's writers would wait for another's flush. A family's own bound stalls them.
            buffers: WriteBufferManager::new_write_buffer_manager(buffer_bytes, false),
            buffer_bytes,
        }
    }

    /// Bytes in use: cache and buffers.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.cache.get_usage() + self.buffers.get_usage()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(32 << 20, 64 << 20)
    }
}

/// Options of the database as a whole.
pub(super) fn database(settings: &Settings, create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    options.create_missing_column_families(true);

    // State that is not in the write-ahead log must come back whole, and at one instant in all families.
    options.set_atomic_flush(true);
    // Torn tails are cut before RocksDB looks, see `wal`: whatever it still finds is corruption.
    options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
    // A write-ahead file that is missing, or shorter than what was synced of it, is corruption too.
    options.set_track_and_verify_wals_in_manifest(true);

    options.set_write_buffer_manager(&settings.memory.buffers);
    options.set_max_background_jobs(2);
    options.set_max_open_files(settings.open_files.into());
    options.set_skip_stats_update_on_db_open(true);
    // Writes files back as they grow, so that a flush does not end in one long fsync.
    options.set_bytes_per_sync(1 << 20);

    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// Options of a database that is only read: a checkpoint.
pub(super) fn read_only(settings: &Settings) -> Options {
    let mut options = Options::default();
    options.set_max_open_files((settings.open_files / 4).max(16).into());
    options.set_skip_stats_update_on_db_open(true);
    options.set_log_level(LogLevel::Fatal);
    options.set_keep_log_file_num(1);
    options
}

/// The families as RocksDB is to open them.
pub(super) fn families(settings: &Settings) -> Vec<ColumnFamilyDescriptor> {
    Family::ALL
        .into_iter()
        .map(|family| ColumnFamilyDescriptor::new(family.name(), of_family(settings, family)))
        .collect()
}

/// Without the write-ahead log: [`super::super::Engine::commit`].
pub(super) fn unlogged() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

fn of_family(settings: &Settings, family: Family) -> Options {
    let mut options = Options::default();
    options.set_block_based_table_factory(&table(settings, family));

    // One family may fill half of all buffers; three more may wait to be flushed before its writers do.
    options.set_write_buffer_size((settings.memory.buffer_bytes / 2).max(1 << 20));
    options.set_max_write_buffer_number(4);
    options.set_arena_block_size(256 << 10);
    if is_asked_in_vain(family) {
        // At most 1 % more memory: some 20 bits a key, when keys with their values take 250 bytes.
        options.set_memtable_prefix_bloom_ratio(0.01);
        options.set_memtable_whole_key_filtering(true);
    }
    options.set_target_file_size_base(32 << 20);
    options.set_max_bytes_for_level_base(128 << 20);

    if family == Family::Raft {
        // Purged soon after it is flushed: not worth the work.
        options.set_compression_type(DBCompressionType::None);
    } else {
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
    }
    options
}

fn table(settings: &Settings, family: Family) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&settings.memory.cache);
    table.set_block_size(8 << 10);
    // Else indexes and filters would be outside the bound.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if is_asked_in_vain(family) {
        table.set_bloom_filter(10.0, false);
        table.set_optimize_filters_for_memory(true);
    }
    table
}

/// Whether it is often asked for keys that are not there: a new idempotency key, a new key's slots, an entry that has not
/// arrived.
fn is_asked_in_vain(family: Family) -> bool {
    matches!(family, Family::Meta | Family::State | Family::Log)
}
