//! `atoll completion`: prints a completion script.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct CompletionCommand {
    /// Shell to complete in
    shell: Shell,
}

impl CompletionCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "atoll", &mut script);
        output::bytes(&script);
        Ok(())
    }
}
