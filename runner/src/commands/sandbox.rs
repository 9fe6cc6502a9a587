//! `taster sandbox`.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Subcommand;

use crate::error::CommandError;

/// Makes, shows or removes the local host that taster makes itself.
#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes the sandbox, or mends what is missing of it
    Up,
    /// Says what of the sandbox is there
    Status,
    /// Removes what `up` made
    Down,
    /// The sandbox's stand-in for abra
    #[command(hide = true)]
    Abra {
        /// The sandbox's folder
        #[arg(long)]
        home: PathBuf,
        /// What abra was called with
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Keeps the ingress's routes
    #[command(hide = true)]
    Agent {
        /// The sandbox's folder
        #[arg(long)]
        home: PathBuf,
    },
}

impl Sandbox {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        match self.action {
            Action::Abra { home, args } => Ok(sandbox::abra::main(&sandbox::home::Home::at(home), args)),
            Action::Up | Action::Status | Action::Down | Action::Agent { .. } => Err(CommandError::usage("not built yet")),
        }
    }
}
