//! `atoll op`: typed operations on a Counter, a Set or a Map.

use atoll_api::http::{Add, Increment, Operations, Remove};
use clap::Args;
use serde_json::Value;

use super::conditions::{self, WriteArguments};
use crate::failure::Failure;
use crate::target::TargetArguments;

#[derive(Args, Debug)]
pub(crate) struct OpCommand {
    /// Collection
    collection: String,
    /// Key
    key: String,
    /// Operations as JSON, such as '{"put": {"name": "Ann"}, "increment": {"visits": 1}}'
    #[arg(conflicts_with_all = ["increment", "decrement", "reset", "add", "remove"])]
    operations: Option<String>,
    /// Add to a counter
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    increment: Option<i64>,
    /// Subtract from a counter
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    decrement: Option<i64>,
    /// Set a counter back to zero
    #[arg(long)]
    reset: bool,
    /// Add elements to a set: JSON when they can be read as JSON, otherwise text
    #[arg(long, value_name = "ELEMENT", num_args = 1..)]
    add: Vec<String>,
    /// Remove elements from a set, or fields from a map
    #[arg(long, value_name = "ELEMENT", num_args = 1..)]
    remove: Vec<String>,
    #[command(flatten)]
    write: WriteArguments,
}

impl OpCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let operations = self.operations()?;
        let client = target.client().await?;
        let options = self.write.options();
        let receipt = client
            .operate(&self.collection, &self.key, &operations, &options)
            .await?;
        conditions::show_receipt(target, &receipt)
    }

    fn operations(&self) -> Result<Operations, Failure> {
        if let Some(text) = &self.operations {
            return serde_json::from_str(text).map_err(|error| {
                Failure::usage(format!("these are no operations: {error}")).help(
                    "a Counter takes increment, decrement and reset; a Set add and remove; a Map put, remove, increment and add",
                )
            });
        }
        let operations = Operations {
            reset: self.reset,
            increment: self.increment.map(Increment::Whole),
            decrement: self.decrement,
            add: elements(&self.add).map(Add::Elements),
            remove: elements(&self.remove).map(Remove::Listed),
            put: None,
        };
        if operations == Operations::default() {
            return Err(Failure::usage("no operation is given")
                .help("such as --increment 1, --add apples, or '{\"increment\": 1}'"));
        }
        Ok(operations)
    }
}

fn elements(texts: &[String]) -> Option<Vec<Value>> {
    let element =
        |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    (!texts.is_empty()).then(|| texts.iter().map(element).collect())
}
