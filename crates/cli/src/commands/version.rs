//! `atoll version`: prints the version.

use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    manifests: &'static str,
}

pub(crate) fn run(target: &TargetArguments) -> Result<(), Failure> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        manifests: atoll_api::manifest::API_VERSION,
    };
    output::show(target.format(), &version, |version| {
        format!("atoll {} ({})", version.version, version.manifests)
    })
}
