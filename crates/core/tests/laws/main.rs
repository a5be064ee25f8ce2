//! The laws of core, each tried on 10,000 random histories of two to four regions.
//!
//! Where a doc comment says "caught", the code was broken by hand in that way once, and the law failed.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod causality;
mod convergence;
mod counter;
mod document;
mod ledger;
mod loss;
mod membership;
mod policies;
mod preconditions;
mod resurrection;
mod set;
