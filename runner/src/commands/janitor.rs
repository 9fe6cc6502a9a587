//! `taster janitor`.

use std::process::ExitCode;

use crate::error::CommandError;

/// Sweeps what dead runs left behind
#[derive(Debug, clap::Args)]
pub struct Janitor {}

impl Janitor {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        Err(CommandError::usage("not built yet"))
    }
}
