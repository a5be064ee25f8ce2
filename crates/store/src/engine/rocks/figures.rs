//! What RocksDB tells of itself. A property that it does not know counts as nothing.

use rocksdb::properties::{
    ACTUAL_DELAYED_WRITE_RATE, BLOCK_CACHE_USAGE, CUR_SIZE_ALL_MEM_TABLES,
    ESTIMATE_PENDING_COMPACTION_BYTES, ESTIMATE_TABLE_READERS_MEM, IS_WRITE_STOPPED,
    LIVE_SST_FILES_SIZE, NUM_RUNNING_COMPACTIONS, PropName,
};

use super::{Family, Figures, RocksEngine};

pub(super) fn of(engine: &RocksEngine) -> Figures {
    let of = |family: Family, property: &PropName| {
        let known = engine
            .database
            .property_int_value_cf(engine.handle(family), property);
        known.ok().flatten().unwrap_or_default()
    };
    let all = |property: &PropName| Family::ALL.iter().map(|family| of(*family, property)).sum();
    // Families share one cache, and what is the whole database's is the same for each of them.
    let whole = |property: &PropName| of(Family::State, property);
    Figures {
        buffered_bytes: all(CUR_SIZE_ALL_MEM_TABLES),
        cache_bytes: whole(BLOCK_CACHE_USAGE),
        index_bytes: all(ESTIMATE_TABLE_READERS_MEM),
        compaction_bytes: all(ESTIMATE_PENDING_COMPACTION_BYTES),
        compactions: whole(NUM_RUNNING_COMPACTIONS),
        writes_stopped: whole(IS_WRITE_STOPPED) > 0 || whole(ACTUAL_DELAYED_WRITE_RATE) > 0,
        family_bytes: Family::ALL
            .map(|family| of(family, LIVE_SST_FILES_SIZE) + of(family, CUR_SIZE_ALL_MEM_TABLES)),
    }
}
