//! Import and export: NDJSON in and out, resumable.
//!
//! - `line`: what a line writes, by the collection's type
//! - `import`: batches in flight, in order; `checkpoint`: how far it came
//! - `export`: pages to a file that is whole or named `.part`

mod checkpoint;
pub(crate) mod export;
pub(crate) mod import;
mod line;
