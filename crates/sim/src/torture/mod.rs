//! Torture: real `atoll node` processes, real faults, recorded clients.
//!
//! ```text
//!  seed ─▶ faults (which, when, to whom) ─▶ mischief ─▶ process, proxy
//!     └──▶ workload (what a client does) ─▶ clients ──▶ atoll node × regions × nodes
//!                                              │                │
//!                                              ▼                ▼ healed, settled
//!                                           history            end
//!                                              └───▶ check ◀────┘
//! ```
//!
//! What a seed decides and what is judged in the end is pure; [`run()`] does the rest. How long things take is
//! the machine's affair, so a seed repeats faults and clients, and not the moment at which one hits the other.

pub mod check;
mod clients;
mod cluster;
mod collections;
pub mod end;
mod faults;
pub mod history;
mod mischief;
mod ports;
mod process;
mod progress;
mod report;
mod run;
mod settle;
mod shape;
mod workload;

pub use faults::Kind;
pub use report::{Report, Writes};
pub use run::{Failed, Options, again, run};
pub use shape::{REGIONS_MAX, Shape};
