//! Remembers: RocksDB and its in-memory twin, keys, commit, log, the region's state machine.
