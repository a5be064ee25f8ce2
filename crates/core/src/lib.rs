//! Decides values: ids, clocks, version vectors, entries, data types, policies, conflicts.
