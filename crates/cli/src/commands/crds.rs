//! `atoll crds`: the custom resource definitions, printed, or kept as files.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

#[derive(Args, Debug)]
pub(crate) struct CrdsCommand {
    /// Write one file for each definition into this directory instead
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Write nothing, and fail when the directory's files are other ones
    #[arg(long, requires = "directory")]
    check: bool,
}

/// A definition's file.
struct File {
    name: String,
    text: String,
}

impl CrdsCommand {
    pub(crate) fn run(&self, target: &TargetArguments) -> Result<(), Failure> {
        let Some(directory) = &self.directory else {
            return print(target);
        };
        let files = files()?;
        if self.check {
            return check(directory, &files);
        }
        fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
        for File { name, text } in &files {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| unusable(&path, &error))?;
        }
        Ok(())
    }
}

fn print(target: &TargetArguments) -> Result<(), Failure> {
    if target.format() == output::Format::Json {
        let definitions = atoll_api::manifest::crds();
        return output::show(target.format(), &definitions, |_| String::new());
    }
    let mut all = String::new();
    for File { name: _, text } in files()? {
        let _ = write!(all, "---\n{text}");
    }
    output::line(all.trim_end());
    Ok(())
}

fn files() -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for definition in atoll_api::manifest::crds() {
        let text = serde_yaml_ng::to_string(&definition)
            .map_err(|error| Failure::new(error.to_string()))?;
        let name = format!("{}.yaml", definition.spec.names.plural);
        files.push(File { name, text });
    }
    Ok(files)
}

fn check(directory: &Path, files: &[File]) -> Result<(), Failure> {
    for File { name, text } in files {
        let path = directory.join(name);
        let found = fs::read_to_string(&path).map_err(|error| unusable(&path, &error))?;
        if found != *text {
            let directory = directory.display();
            return Err(
                Failure::new(format!("{} is not what this program makes", path.display())).help(
                    format!("write it anew with `atoll crds --directory {directory}`"),
                ),
            );
        }
    }
    Ok(())
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}
