//! HTTP v1 as a client finds it, against a node in this process.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod changes;
mod conditions;
mod hostile;
mod pages;
mod regions;
mod routes;
mod server;
mod support;
mod types;
