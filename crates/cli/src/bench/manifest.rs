//! The store that is measured.

use atoll_api::manifest::{StoreManifest, parse};

use crate::failure::Failure;

/// Which regions pull from which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Mesh,
    Ring,
}

/// So many regions of so many nodes.
pub(crate) fn manifest(
    regions: usize,
    nodes: usize,
    shape: Shape,
) -> Result<StoreManifest, Failure> {
    let names: Vec<_> = (1..=regions)
        .map(|number| format!("{{name: r{number}, replicas: {nodes}}}"))
        .collect();
    let shape = match shape {
        Shape::Mesh => "AllToAll",
        Shape::Ring => "Ring",
    };
    let mut text = format!(
        "apiVersion: atoll.dev/v1alpha1\nkind: GeoStore\nmetadata: {{name: bench}}\n\
         spec: {{topology: {{type: {shape}}}, regions: [{}]}}\n",
        names.join(", ")
    );
    for (name, data_type) in [("values", "Register"), ("counts", "Counter")] {
        text.push_str(&format!(
            "---\napiVersion: atoll.dev/v1alpha1\nkind: Collection\nmetadata: {{name: {name}}}\n\
             spec: {{storeRef: {{name: bench}}, type: {data_type}}}\n"
        ));
    }
    parse(&[("bench", text)]).map_err(|errors| {
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        Failure::new(told.join("; "))
    })
}
