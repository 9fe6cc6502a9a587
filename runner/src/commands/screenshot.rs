//! `taster __shot`: takes a picture of a run's app, in a process of its own.

use std::{ffi::OsString, process::ExitCode};

use harness::author;

use crate::env::Env;

/// Takes a picture of an app
#[derive(Debug, clap::Args)]
#[command(hide = true, disable_help_flag = true)]
pub struct Shot {
    /// What a run gives to every test program; there is but one thing to be done here
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Shot {
    /// Does it. What it is told about the app is in the file that `TASTER_CONTEXT` names.
    pub fn run(self, env: &Env) -> ExitCode {
        author::shot(env.context.as_deref())
    }
}
