//! The custom resource definitions, made from the same structs that manifests are read into.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::CustomResourceExt;

use super::collection::Collection;
use super::geostore::GeoStore;
use super::replication_link::ReplicationLink;
use super::rules::RULES;
use super::schema;

/// All definitions that a cluster needs, in the order to apply them.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [GeoStore::crd(), Collection::crd(), ReplicationLink::crd()]
        .into_iter()
        .map(finished)
        .collect()
}

/// With limits, defaults and rules.
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let kind = crd.spec.names.kind.clone();
    let schemas = crd.spec.versions.iter_mut();
    for props in schemas.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
    {
        *props = completed(&kind, props);
    }
    crd
}

fn completed(kind: &str, props: &JSONSchemaProps) -> JSONSchemaProps {
    let mut value = serde_json::to_value(props).expect("a schema is JSON");
    schema::bound(&mut value);
    if kind == "GeoStore" {
        schema::put_defaults(&mut value).expect("defaults are of fields that exist");
    }
    for rule in RULES.iter().filter(|rule| rule.kind == kind) {
        rule.attach(&mut value)
            .expect("rules are about fields that exist");
    }
    serde_json::from_value(value).expect("a schema stays one")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::Value;

    use super::crds;

    #[test]
    fn the_names_are_those_promised() {
        let names: Vec<_> = crds()
            .into_iter()
            .map(|crd| {
                let names = crd.spec.names;
                let short = names.short_names.unwrap().join(",");
                format!(
                    "{} {} {short} {}",
                    crd.metadata.name.unwrap(),
                    names.kind,
                    names.categories.unwrap().join(",")
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                "geostores.atoll.dev GeoStore gs atoll",
                "collections.atoll.dev Collection gcol atoll",
                "replicationlinks.atoll.dev ReplicationLink glink atoll"
            ]
        );
    }

    /// The rules of structural schemas that a derived schema can break.
    fn check_structural(path: &str, schema: &Value) {
        let Value::Object(fields) = schema else {
            panic!("{path}: a schema must be an object: {schema}")
        };
        for refused in [
            "$ref",
            "definitions",
            "$defs",
            "patternProperties",
            "const",
            "oneOf",
        ] {
            assert!(
                !fields.contains_key(refused),
                "{path}: {refused} is not structural"
            );
        }
        assert!(
            !(fields.contains_key("properties") && fields.contains_key("additionalProperties")),
            "{path}: properties and additionalProperties exclude each other"
        );
        let is_open = [
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
        ]
        .iter()
        .any(|key| fields.get(*key) == Some(&Value::Bool(true)));
        assert!(
            is_open || fields.get("type").is_some_and(Value::is_string),
            "{path}: type is missing: {schema}"
        );
        let formats = ["int32", "int64", "double", "byte", "date-time"];
        let format = fields.get("format").and_then(Value::as_str);
        assert!(
            format.is_none_or(|format| formats.contains(&format)),
            "{path}: the API server does not know the format {format:?}"
        );
        if let Some(Value::Object(properties)) = fields.get("properties") {
            for (name, property) in properties {
                check_structural(&format!("{path}.{name}"), property);
            }
        }
        if let Some(items) = fields.get("items") {
            check_structural(&format!("{path}[]"), items);
        }
        if let Some(values @ Value::Object(_)) = fields.get("additionalProperties") {
            check_structural(&format!("{path}{{}}"), values);
        }
    }

    #[test]
    fn the_schemas_are_structural() {
        for crd in crds() {
            for version in crd.spec.versions {
                let schema =
                    serde_json::to_value(version.schema.unwrap().open_api_v3_schema.unwrap())
                        .unwrap();
                check_structural(&crd.spec.names.kind, &schema);
            }
        }
    }

    #[test]
    fn the_schema_knows_what_a_manifest_needs() {
        let crd = serde_json::to_value(&crds()[0]).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(spec["required"], serde_json::json!(["regions", "topology"]));
        let topology = &spec["properties"]["topology"];
        assert_eq!(
            topology["properties"]["type"]["enum"],
            serde_json::json!(["AllToAll", "Ring", "Star", "Custom"])
        );
        assert_eq!(topology["properties"]["failoverAfter"]["type"], "string");
        let regions = &spec["properties"]["regions"];
        assert_eq!(regions["maxItems"], 16);
        assert_eq!(
            regions["x-kubernetes-list-map-keys"],
            serde_json::json!(["name"])
        );
    }
}
