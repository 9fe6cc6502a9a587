//! `taster __screenshot`: takes the screenshot of a run's app, in a separate process.

use std::{ffi::OsString, process};

use harness::author;

use crate::env::Env;

/// Takes the screenshot of an app
#[derive(Debug, clap::Args)]
#[command(hide = true, disable_help_flag = true)]
pub struct Screenshot {
    /// The arguments that a run gives to every test program; they are ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Screenshot {
    /// Runs the command. The file that `TASTER_CONTEXT` names describes the app.
    pub fn run(self, env: &Env) -> process::ExitCode {
        author::take_screenshot(env.context.as_deref())
    }
}
