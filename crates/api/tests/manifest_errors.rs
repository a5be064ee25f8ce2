//! Every way in which a manifest is refused, with the words that people read.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write;

use atoll_api::manifest::{CollectionSettings, declare_collections, parse};

const HEAD: &str = "apiVersion: atoll.dev/v1alpha1\nkind: ";

fn store(spec: &str) -> String {
    format!("{HEAD}GeoStore\nmetadata: {{name: shop}}\nspec: {spec}\n")
}

fn collection(name: &str, spec: &str) -> String {
    format!("---\n{HEAD}Collection\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn topology(topology: &str) -> String {
    store(&format!(
        "{{topology: {topology}, regions: [{{name: eu}}, {{name: us}}, {{name: ap}}]}}"
    ))
}

fn regions(regions: &str) -> String {
    store(&format!(
        "{{topology: {{type: AllToAll}}, regions: {regions}}}"
    ))
}

fn good() -> String {
    topology("{type: AllToAll}")
}

fn with_collection(spec: &str) -> String {
    good() + &collection("pages", &format!("{{storeRef: {{name: shop}}, {spec}}}"))
}

/// The errors of each text, one a line under its name.
fn check(cases: &[(&str, String)]) -> String {
    let mut told = String::new();
    for (name, text) in cases {
        let errors = parse(&[("shop.yaml", text)]).expect_err(name);
        writeln!(told, "{name}").unwrap();
        for error in errors {
            writeln!(told, "  {error}").unwrap();
        }
    }
    told
}

#[test]
fn what_is_no_manifest_is_refused() {
    let cases = [
        ("no document", String::new()),
        (
            "only documents of Kubernetes",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}".to_owned(),
        ),
        ("not YAML", good() + "---\na: [1\n"),
        ("the same key twice", "a: 1\na: 2\n".to_owned()),
        ("a list", good() + "---\n- 1\n"),
        ("no kind", good() + "---\napiVersion: atoll.dev/v1alpha1\n"),
        ("an unknown version", good().replace("v1alpha1", "v2")),
        (
            "a misspelt group",
            good() + &collection("a", "{}").replace("atoll.dev", "atol.dev"),
        ),
        ("an unknown kind", good().replace("GeoStore", "Geostore")),
        ("two stores", format!("{}---\n{}", good(), good())),
        (
            "no spec",
            format!("{HEAD}GeoStore\nmetadata: {{name: shop}}\n"),
        ),
        ("no name", good().replace("name: shop", "")),
    ];
    insta::assert_snapshot!(check(&cases));
}

#[test]
fn fields_that_cannot_be_read_are_refused_by_name() {
    let cases = [
        (
            "misspelt field",
            topology("{type: AllToAll, failOverAfter: 5s}"),
        ),
        ("unknown field", regions("[{name: eu, colour: blue}]")),
        (
            "unknown field of metadata",
            good().replace("{name: shop}", "{name: shop, owner: me}"),
        ),
        ("unknown type", topology("{type: Mesh}")),
        (
            "bad name of a store",
            good().replace("name: shop", "name: Shop"),
        ),
        ("bad name of a region", regions("[{name: EU}, {name: us}]")),
        ("region without a name", regions("[{replicas: 1}]")),
        ("regions are no list", regions("{eu: {}}")),
        ("number for a name", regions("[{name: 3}]")),
        ("even replicas", regions("[{name: eu, replicas: 2}]")),
        (
            "replicas are no number",
            regions("[{name: eu, replicas: three}]"),
        ),
        ("unknown role", regions("[{name: eu, role: Follower}]")),
        (
            "bad length of time",
            topology("{type: AllToAll, failoverAfter: 5 seconds}"),
        ),
        (
            "number for a length of time",
            topology("{type: AllToAll, failoverAfter: 5}"),
        ),
        (
            "bad size",
            regions("[{name: eu, template: {storage: {size: 10GB}}}]"),
        ),
        (
            "bad address",
            good().replace(
                "spec: {",
                "spec: {telemetry: {otlp: {endpoint: 'collector:4317'}}, ",
            ),
        ),
        (
            "more than all traces",
            good().replace("spec: {", "spec: {telemetry: {traceRatio: 1.5}, "),
        ),
        (
            "negative rows",
            good().replace("spec: {", "spec: {retention: {conflicts: {maxRows: -1}}, "),
        ),
        (
            "unknown type of a collection",
            with_collection("type: List"),
        ),
        (
            "unknown policy",
            with_collection("type: Register, conflicts: {policy: FirstWriterWins}"),
        ),
        (
            "no storeRef",
            good() + &collection("pages", "{type: Register}"),
        ),
        (
            "bad name of a collection",
            good() + &collection("Pages", "{storeRef: {name: shop}, type: Set}"),
        ),
    ];
    insta::assert_snapshot!(check(&cases));
}

#[test]
fn regions_that_do_not_go_together_are_refused() {
    let many: Vec<_> = (0..17)
        .map(|number| format!("{{name: r{number}}}"))
        .collect();
    let cases = [
        ("no region", regions("[]")),
        (
            "too many regions",
            regions(&format!("[{}]", many.join(", "))),
        ),
        (
            "region twice",
            regions("[{name: eu}, {name: us}, {name: eu}]"),
        ),
        (
            "nobody leads",
            regions("[{name: eu, role: ReadOnly}, {name: us, role: ReadOnly}]"),
        ),
        (
            "limits of zero",
            good().replace(
                "spec: {",
                "spec: {objectives: {maxLag: 0s, maxClockSkew: 0ms}, \
                 retention: {maxAge: 0h, maxSize: '0', conflicts: {maxAge: 0s, maxRows: 0}}, ",
            ),
        ),
        (
            "no failover time",
            topology("{type: AllToAll, failoverAfter: 999ms}"),
        ),
        (
            "a collector that nothing is known of",
            good().replace(
                "spec: {",
                "spec: {telemetry: {otlp: {endpoint: 'https://collector:4318'}}, ",
            ),
        ),
    ];
    insta::assert_snapshot!(check(&cases));
}

#[test]
fn topologies_that_do_not_hold_together_are_refused() {
    let custom = |links: &str| topology(&format!("{{type: Custom, links: [{links}]}}"));
    let cases = [
        ("hub is no region", topology("{type: Star, hub: sa}")),
        ("star without a hub", topology("{type: Star}")),
        ("hub of a ring", topology("{type: Ring, hub: eu}")),
        (
            "order and links of a mesh",
            topology("{type: AllToAll, order: [eu], links: []}"),
        ),
        (
            "ring of two",
            store("{topology: {type: Ring}, regions: [{name: eu}, {name: us}]}"),
        ),
        (
            "order with a stranger",
            topology("{type: Ring, order: [eu, us, ap, sa]}"),
        ),
        (
            "order with a region twice",
            topology("{type: Ring, order: [eu, us, ap, eu]}"),
        ),
        (
            "order with a region left out",
            topology("{type: Ring, order: [eu, us]}"),
        ),
        ("custom without links", topology("{type: Custom}")),
        (
            "link to a stranger",
            custom("{from: eu, to: sa}, {from: us, to: eu}"),
        ),
        (
            "link to itself",
            custom(
                "{from: eu, to: us}, {from: us, to: ap}, {from: ap, to: eu}, {from: eu, to: eu}",
            ),
        ),
        (
            "link twice",
            custom(
                "{from: eu, to: us}, {from: us, to: ap}, {from: ap, to: eu}, {from: eu, to: us}",
            ),
        ),
        (
            "a dead end",
            custom("{from: eu, to: us}, {from: us, to: eu}, {from: us, to: ap}"),
        ),
        (
            "a region that nobody hears of",
            custom("{from: eu, to: us}, {from: us, to: eu}"),
        ),
    ];
    insta::assert_snapshot!(check(&cases));
}

#[test]
fn collections_that_do_not_fit_are_refused() {
    let cases = [
        (
            "collection twice",
            with_collection("type: Set")
                + &collection("pages", "{storeRef: {name: shop}, type: Map}"),
        ),
        (
            "of another store",
            good() + &collection("pages", "{storeRef: {name: shap}, type: Register}"),
        ),
        (
            "of another namespace",
            with_collection("type: Register")
                .replace("{name: shop}\nspec", "{name: shop, namespace: prod}\nspec"),
        ),
        (
            "policy of a counter",
            with_collection("type: Counter, conflicts: {policy: KeepSiblings}"),
        ),
        (
            "everything for a set",
            with_collection(
                "type: Set, conflicts: {policy: OriginPriority, origins: [eu], updateDelete: KeepBoth}",
            ),
        ),
        (
            "no origins",
            with_collection("type: Register, conflicts: {policy: OriginPriority}"),
        ),
        (
            "empty origins",
            with_collection("type: Map, conflicts: {policy: OriginPriority, origins: []}"),
        ),
        (
            "unknown origin",
            with_collection(
                "type: Register, conflicts: {policy: OriginPriority, origins: [eu, sa]}",
            ),
        ),
        (
            "origin twice",
            with_collection(
                "type: Register, conflicts: {policy: OriginPriority, origins: [eu, us, eu]}",
            ),
        ),
        (
            "origins of another policy",
            with_collection("type: Document, conflicts: {origins: [eu]}"),
        ),
    ];
    insta::assert_snapshot!(check(&cases));
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_files() {
    let files = [
        (
            "collections.yaml",
            collection(
                "pages",
                "{storeRef: {name: shop}, type: Counter, conflicts: {policy: Foo}}",
            ),
        ),
        (
            "store.yaml",
            store(
                "{topology: {type: Star, hub: xx, failoverAfter: soon}, regions: [{name: eu}, {name: us, replicas: 4}]}",
            ),
        ),
        (
            "more.yaml",
            collection(
                "carts",
                "{storeRef: {name: shop}, type: Set, conflicts: {policy: KeepSiblings}}",
            ) + &collection(
                "pages",
                "{storeRef: {name: other}, tipe: Register, type: Register}",
            ),
        ),
    ];
    let errors = parse(&files).unwrap_err();
    insta::assert_snapshot!(
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn the_admin_list_is_refused_in_the_same_words() {
    let settings: Vec<CollectionSettings> = serde_json::from_str(
        r#"[{"name": "pages", "type": "Register", "conflicts": {"policy": "OriginPriority", "origins": ["sa"]}},
            {"name": "pages", "type": "Set", "conflicts": {"policy": "KeepSiblings"}}]"#,
    )
    .unwrap();
    let errors = declare_collections(&settings, &["eu".parse().unwrap()]).unwrap_err();
    insta::assert_snapshot!(
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn the_admin_list_refuses_fields_that_do_not_exist() {
    for text in [
        r#"[{"name": "pages", "type": "Register", "polici": {}}]"#,
        r#"[{"name": "pages", "type": "Register", "conflicts": {"polici": "KeepSiblings"}}]"#,
    ] {
        let error = serde_json::from_str::<Vec<CollectionSettings>>(text).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `polici`"),
            "{error}"
        );
    }
    let text = r#"[{"name": "pages", "type": "Register", "conflicts": null}]"#;
    assert!(serde_json::from_str::<Vec<CollectionSettings>>(text).is_ok());
}
