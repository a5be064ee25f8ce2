//! Promises: the shapes seen outside, HTTP v1 and the manifests.
//!
//! Everything here is data and its checks: no I/O, no clock. What is public here is public to users:
//! names, fields and reasons only grow.
//!
//! - [`certificate`]: whom the certificates of a store name
//! - [`manifest`]: the files that `kubectl apply` and `atoll dev` read, and how they are refused
//! - [`topology`]: which links a manifest declares
//! - [`http`]: requests, answers, headers and problems of HTTP v1
//! - [`openapi`]: the table of routes and the document made from it
//!
//! With feature `k8s` the manifest's structs are custom resources as well (`manifest::crds`).

pub mod certificate;
pub mod http;
pub mod manifest;
pub mod openapi;
pub mod topology;
