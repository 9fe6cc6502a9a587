//! `taster sandbox`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use sandbox::{
    Progress, SandboxError, Up,
    home::Home,
    layout::{Layout, Setup},
};

use crate::{
    cli::block_on,
    env::Env,
    error::{CommandError, Exit},
    output,
};

/// Makes, shows or removes the host that taster makes itself
///
/// A run makes it, too, on a machine without any host. It is a one-node Swarm with an ingress, a few recipes and, where there is no
/// abra, a stand-in for it.
#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes the sandbox, or mends what is missing of it
    Up {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long, value_name = "DIR")]
        home: Option<PathBuf>,
    },
    /// Says what of the sandbox is there; exit code 3 when something is missing
    Status {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long, value_name = "DIR")]
        home: Option<PathBuf>,
    },
    /// Removes what `up` made, but for downloads
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
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        match self.action {
            Action::Abra { home, args } => Ok(sandbox::abra::main(&Home::at(home), args)),
            Action::Agent { home } => {
                block_on(sandbox::ingress::agent::main(&Home::at(home)))?.map_err(error)?;
                Ok(Exit::Green.into())
            }
            Action::Up { home } => up(&folder(home, env)?, env),
            Action::Status { home } => status(&folder(home, env)?),
            Action::Down { home } => {
                block_on(sandbox::down(&folder(home, env)?, &mut tell))?.map_err(error)?;
                Ok(Exit::Green.into())
            }
        }
    }
}

fn up(home: &Home, env: &Env) -> Result<ExitCode, CommandError> {
    let up = make(home, env)?;
    output::tell(&format!("the sandbox is up after {:.2} s; its host file is {}", up.took.as_secs_f64(), up.host_file.display()));
    Ok(Exit::Green.into())
}

/// Makes the sandbox, or mends what is missing of it, and says what it does.
pub(crate) fn make(home: &Home, env: &Env) -> Result<Up, CommandError> {
    let setup = Setup { layout: Layout::default(), exe: env.exe.clone(), abra: env.program(Path::new("abra")) };
    let up = block_on(sandbox::up(home, &setup, &mut tell))?.map_err(error)?;
    for warning in &up.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    Ok(up)
}

fn status(home: &Home) -> Result<ExitCode, CommandError> {
    let parts = block_on(sandbox::status(home))?.map_err(error)?;
    let line = |part: &sandbox::PartStatus| format!("{:<10} {:<4} {}\n", part.name, if part.ok { "ok" } else { "--" }, part.detail);
    output::print(&parts.iter().map(line).collect::<String>())?;
    let up = parts.iter().all(|part| part.ok || part.name == "warning");
    Ok(if up { Exit::Green } else { Exit::Inconclusive }.into())
}

/// The sandbox's folder: the one in taster's state folder, unless told otherwise.
fn folder(told: Option<PathBuf>, env: &Env) -> Result<Home, CommandError> {
    let Some(folder) = told else { return Ok(Home::at(env.sandbox())) };
    std::path::absolute(folder).map(Home::at).map_err(|error| CommandError::usage(format!("no such folder: {error}")))
}

/// Prints what was done.
pub(crate) fn tell(progress: Progress) {
    output::tell(&format!("{:>6.2} s  {}", progress.elapsed.as_secs_f64(), progress.message));
}

/// The command's error for one of the sandbox.
pub(crate) fn error(error: SandboxError) -> CommandError {
    CommandError::host(error.with_causes()).remedy(error.hints().join(" "))
}
