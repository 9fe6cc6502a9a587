//! `taster __pack`: the program of a pack, which is taster itself.

use std::{ffi::OsString, process};

use harness::author;

use crate::{env::Env, error::CommandError};

/// Runs functions of a recipe's pack, as a test program does
#[derive(Debug, clap::Args)]
#[command(hide = true, disable_help_flag = true)]
pub struct Pack {
    /// The recipe
    recipe: String,
    /// The arguments of the test program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Pack {
    /// Runs the command. The file that `TASTER_CONTEXT` names describes the app.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let pack = recipes::of(&self.recipe)
            .ok_or_else(|| CommandError::usage(format!("this program has no pack of `{}`", self.recipe)))?;
        Ok(author::main(pack, env.context.as_deref(), self.args))
    }
}
