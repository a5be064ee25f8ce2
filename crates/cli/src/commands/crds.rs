//! `atoll crds`: prints the custom resource definitions.

use std::fmt::Write as _;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

pub(crate) fn run(target: &TargetArguments) -> Result<(), Failure> {
    let definitions = atoll_api::manifest::crds();
    if target.format() == output::Format::Json {
        return output::show(target.format(), &definitions, |_| String::new());
    }
    let mut text = String::new();
    for definition in &definitions {
        let yaml = serde_yaml_ng::to_string(definition)
            .map_err(|error| Failure::new(error.to_string()))?;
        let _ = write!(text, "---\n{yaml}");
    }
    output::line(text.trim_end());
    Ok(())
}
