//! The stand-in for abra: `.env`, labels, checkout and secrets of its own, then the real `docker stack deploy`.

use std::{ffi::OsString, process::ExitCode};

use crate::home::Home;

/// Runs abra's command line.
pub fn main(_home: &Home, _args: Vec<OsString>) -> ExitCode {
    ExitCode::FAILURE
}
