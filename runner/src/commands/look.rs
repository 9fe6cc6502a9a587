//! `taster look`.

use std::process::ExitCode;

use crate::error::CommandError;

/// Prints live what a stack is waiting for, and why
#[derive(Debug, clap::Args)]
pub struct Look {}

impl Look {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        Err(CommandError::usage("not built yet"))
    }
}
