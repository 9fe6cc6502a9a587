//! `taster __pack`: the program of a pack, which is taster itself.

use std::{ffi::OsString, process::ExitCode};

use harness::author;

use crate::{env::Env, error::CommandError};

/// Runs functions of a recipe's pack, as a test program does
#[derive(Debug, clap::Args)]
#[command(hide = true, disable_help_flag = true)]
pub struct Pack {
    /// The recipe
    recipe: String,
    /// What follows is for the test program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Pack {
    /// Does it. What it is told about the app is in the file that `TASTER_CONTEXT` names.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let pack = recipes::of(&self.recipe)
            .ok_or_else(|| CommandError::usage(format!("this program has no pack of `{}`", self.recipe)))?;
        Ok(author::main(pack, env.context.as_deref(), self.args))
    }
}
