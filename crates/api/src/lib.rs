//! Promises: the shapes seen outside, HTTP v1 and the manifests.
