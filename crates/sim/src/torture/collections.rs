//! The collections that clients write to, each with something of its own to go wrong.

use serde_json::{Value, json};

/// Registers that one client alone writes.
pub(crate) const OWN: &str = "own";
/// Registers that all write; one value is shown.
pub(crate) const SHARED: &str = "shared";
/// Registers that all write; all siblings are shown.
pub(crate) const KEPT: &str = "kept";
/// Registers that are only ever written together, all with the same value.
pub(crate) const GROUPS: &str = "groups";
/// Documents whose fields all write.
pub(crate) const PAGES: &str = "pages";
/// Counters that only grow.
pub(crate) const VOTES: &str = "votes";
/// Sets.
pub(crate) const CARTS: &str = "carts";

/// All of them.
pub(crate) const ALL: [&str; 7] = [OWN, SHARED, KEPT, GROUPS, PAGES, VOTES, CARTS];

/// As a node's configuration declares them.
pub(crate) fn declared() -> Value {
    json!([
        {"name": OWN, "type": "Register"},
        {"name": SHARED, "type": "Register"},
        {"name": KEPT, "type": "Register", "conflicts": {"policy": "KeepSiblings"}},
        {"name": GROUPS, "type": "Register"},
        {"name": PAGES, "type": "Document"},
        {"name": VOTES, "type": "Counter"},
        {"name": CARTS, "type": "Set"},
    ])
}
