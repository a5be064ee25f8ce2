//! The region's state machine over both engines: what its commands do, whatever their grouping, and what
//! is read back.
//!
//! Where a doc comment says "caught", the code was broken by hand in that way once, and the test failed.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

mod commands;
mod conflicts;
mod convergence;
mod engines;
mod grouping;
mod history;
mod hot_key;
mod idempotency;
mod log;
mod members;
mod pages;
mod regions;
mod rejected;
mod remote;
mod shown;
mod stable;
mod transfer;
mod trim;
