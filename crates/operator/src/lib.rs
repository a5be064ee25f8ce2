//! Arranges: from GeoStores on Kubernetes to regions that run, and back to their status.
//!
//! ```text
//!  GeoStore, Collections ─▶ validate ─▶ plan ─▶ build ─▶ apply ─▶ report ─▶ status, links, events
//!                                        ▲                 │
//!     caches of children, answers of ────┘ observe         └─▶ one change of the running store
//!     the regions' admin API
//! ```
//!
//! One file a step. [`plan`] and [`build`] are pure: from what is declared and what was seen to what is to be
//! there, and to the one thing that is to be done next. Nothing here touches data: the store's own admin API
//! moves nodes and regions, and refuses what would lose something. What does not answer is never taken for dead.
//!
//! - `names`: labels and names of all that is made
//! - `certificates`: the CA of each store, and what it signs
//! - `observe`, `ask`, `caches`: what is there
//! - `controller`: the loop around it all; `lease`: only one of several operators acts
//! - `serve`, `metrics`, `traces`: how the operator itself is watched
//! - [`reach`]: how people with a kubeconfig come to a store's nodes

mod apply;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod apply_calls;
mod ask;
pub mod build;
mod caches;
mod certificates;
mod controller;
mod error;
mod events;
mod kept;
mod kinds;
mod lease;
mod metrics;
#[cfg(test)]
#[allow(clippy::expect_used, reason = "a panic is how a test fails")]
mod mock;
mod names;
pub mod observe;
mod pass;
pub mod plan;
mod rate;
pub mod reach;
mod report;
mod seen;
mod serve;
mod settings;
mod shelf;
mod traces;
mod validate;

pub use controller::{StartError, run};
pub use settings::{Scope, Settings};
