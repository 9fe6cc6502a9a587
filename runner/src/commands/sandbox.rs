//! `taster sandbox`.

use std::{ffi::OsString, path::PathBuf, process};

use clap::Subcommand;
use harness::{
    model::exit_code::ExitCode,
    pure::recipe::compose::{self, WithVariables},
};
use sandbox::{
    EngineLine, PartStatus,
    abra::{ComposeReader, Unfilled},
    home::Home,
};

use crate::{
    env::Env,
    error::CommandError,
    host::sandbox::{error, make, print_progress},
    output,
    runtime::block_on,
};

/// The harness's reader of compose files, so that the stand-in for abra deploys what was judged.
const COMPOSE_READER: ComposeReader = ComposeReader {
    plain: |file, text| compose::plain(file, text).map_err(|error| error.to_string()),
    without_variables: |from| {
        let Unfilled { file, text, variables, folder } = *from;
        let read = |file: &str| std::fs::read_to_string(file).ok();
        compose::without_variables(&WithVariables { file, text, variables, folder, read: &read })
            .map_err(|error| error.to_string())
    },
};

/// Makes, shows or removes the sandbox, the host that taster makes itself
///
/// A run makes it, too, on a machine without any host. It is a one-node Swarm with an ingress, a few recipes and, where there is
/// no abra, a stand-in for it.
#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes the sandbox, or the parts of it that are missing
    Up {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long, value_name = "DIR")]
        home: Option<PathBuf>,
        /// Builds a Docker engine of this line and uses it (29); without it, the sandbox keeps its engine or takes the machine's
        #[arg(long, value_name = "LINE")]
        engine: Option<EngineLine>,
    },
    /// Prints the state of each part of the sandbox; exit code 3 when something is missing
    Status {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long, value_name = "DIR")]
        home: Option<PathBuf>,
    },
    /// Removes what `up` made, except for downloads
    Down {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long, value_name = "DIR")]
        home: Option<PathBuf>,
    },
    /// The sandbox's stand-in for abra
    #[command(hide = true)]
    Abra {
        /// The sandbox's folder
        #[arg(long)]
        home: PathBuf,
        /// The arguments of abra
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Keeps the ingress's routes up to date
    #[command(hide = true)]
    Agent {
        /// The sandbox's folder
        #[arg(long)]
        home: PathBuf,
    },
}

impl Sandbox {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        match self.action {
            Action::Abra { home, args } => Ok(sandbox::abra::main(&Home::at(home), COMPOSE_READER, args)),
            Action::Agent { home } => {
                block_on(sandbox::ingress::agent::main(&Home::at(home)))?.map_err(error)?;
                Ok(ExitCode::Green.into())
            }
            Action::Up { home, engine } => up(&home_at(home, env)?, engine, env),
            Action::Status { home } => status(&home_at(home, env)?),
            Action::Down { home } => {
                block_on(sandbox::down(&home_at(home, env)?, &mut print_progress))?.map_err(error)?;
                Ok(ExitCode::Green.into())
            }
        }
    }
}

fn up(home: &Home, engine: Option<EngineLine>, env: &Env) -> Result<process::ExitCode, CommandError> {
    let up = make(home, engine, env)?;
    // The labels of all apps; a run has no word about those of its neighbours.
    for warning in &up.warnings {
        output::message(&format!("warning: {warning}"));
    }
    let (took, file) = (up.took.as_secs_f64(), up.host_file.display());
    output::message(&format!("the sandbox is up after {took:.2} s; its host file is {file}"));
    Ok(ExitCode::Green.into())
}

fn status(home: &Home) -> Result<process::ExitCode, CommandError> {
    let parts = block_on(sandbox::status(home))?.map_err(error)?;
    let line = |part: &PartStatus| format!("{:<10} {:<4} {}\n", part.name, if part.ok { "ok" } else { "--" }, part.detail);
    output::print(&parts.iter().map(line).collect::<String>())?;
    let up = parts.iter().all(|part| part.ok || part.name == "warning");
    Ok(if up { ExitCode::Green } else { ExitCode::Inconclusive }.into())
}

/// The sandbox's folder: `named` on the command line, else the one in taster's state folder.
fn home_at(named: Option<PathBuf>, env: &Env) -> Result<Home, CommandError> {
    let Some(folder) = named else { return Ok(Home::at(env.sandbox())) };
    std::path::absolute(folder)
        .map(Home::at)
        .map_err(|error| CommandError::usage(error).context("the sandbox's folder has no absolute path"))
}
