//! Schemas of members and the topology.

use serde_json::{Value, json};

use super::reference as of;
use super::schema::{Shape, choice, integer, list, number, object, text};

pub(crate) fn all() -> Vec<Shape> {
    vec![
        member_list(),
        member(),
        (
            "JoinProgress",
            vec![("applied", integer()), ("known", integer())],
            vec![("secondsLeft", number()), ("waitingFor", list(&text()))],
        ),
        (
            "DrainProgress",
            vec![
                ("entries", integer()),
                ("waitingFor", list(&of("DrainWait"))),
            ],
            vec![],
        ),
        (
            "DrainWait",
            vec![("region", text()), ("missing", integer())],
            vec![],
        ),
        removed(),
        (
            "TopologyDeclaration",
            vec![
                ("topology", topology()),
                ("regions", list(&of("TopologyRegion"))),
            ],
            vec![("revision", integer())],
        ),
        (
            "TopologyRegion",
            vec![("name", text())],
            vec![
                ("role", choice(&["Leader", "ReadOnly"])),
                ("endpoints", list(&text())),
            ],
        ),
        (
            "TopologyPlan",
            vec![("revision", integer()), ("steps", list(&text()))],
            vec![],
        ),
        (
            "TopologyStatus",
            vec![
                ("revision", integer()),
                ("regions", list(&of("TopologyRegion"))),
                ("unheard", list(&text())),
            ],
            vec![("topology", topology())],
        ),
    ]
}

pub(crate) fn state() -> Value {
    choice(&["Joining", "Active", "Draining", "Retired"])
}

fn member_list() -> Shape {
    let required = vec![
        ("store", text()),
        ("region", text()),
        ("replica", text()),
        ("revision", integer()),
        ("members", list(&of("MemberStatus"))),
    ];
    ("MemberList", required, vec![])
}

fn member() -> Shape {
    let required = vec![
        ("name", text()),
        ("region", text()),
        ("replica", text()),
        ("state", state()),
        ("vector", of("Vector")),
        ("lagEntries", integer()),
        ("held", integer()),
        ("announced", integer()),
    ];
    let optional = vec![
        ("heardSecondsAgo", number()),
        ("endpoints", list(&text())),
        ("join", of("JoinProgress")),
        ("drain", of("DrainProgress")),
        ("last", integer()),
    ];
    ("MemberStatus", required, optional)
}

fn removed() -> Shape {
    let required = vec![
        ("region", text()),
        ("replica", text()),
        ("last", integer()),
        ("lost", integer()),
        ("unheard", list(&text())),
    ];
    ("Removed", required, vec![])
}

/// As in a GeoStore.
fn topology() -> Value {
    let link = object(vec![("from", text()), ("to", text())], vec![]);
    let kinds = choice(&["AllToAll", "Ring", "Star", "Custom"]);
    let mut topology = object(
        vec![("type", kinds)],
        vec![
            ("order", list(&text())),
            ("hub", text()),
            ("links", list(&link)),
            ("failoverAfter", text()),
        ],
    );
    topology["description"] = json!("Which regions pull from which.");
    topology
}
