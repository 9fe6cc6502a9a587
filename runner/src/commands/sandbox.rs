//! `taster sandbox`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use sandbox::{
    Progress, SandboxError,
    home::Home,
    layout::{Layout, Setup},
};

use crate::{
    cli::block_on,
    error::{CommandError, Exit},
};

/// Makes, shows or removes the local host that taster makes itself.
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
        #[arg(long)]
        home: Option<PathBuf>,
    },
    /// Says what of the sandbox is there; exit code 3 when something is missing
    Status {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long)]
        home: Option<PathBuf>,
    },
    /// Removes what `up` made, but for downloads
    Down {
        /// The sandbox's folder, instead of the one in the user's state folder
        #[arg(long)]
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
    pub fn run(self) -> Result<ExitCode, CommandError> {
        match self.action {
            Action::Abra { home, args } => Ok(sandbox::abra::main(&Home::at(home), args)),
            Action::Agent { home } => {
                block_on(sandbox::agent::main(&Home::at(home)))?.map_err(error)?;
                Ok(Exit::Green.into())
            }
            Action::Up { home } => up(&folder(home)?),
            Action::Status { home } => status(&folder(home)?),
            Action::Down { home } => {
                block_on(sandbox::down(&folder(home)?, &mut tell))?.map_err(error)?;
                Ok(Exit::Green.into())
            }
        }
    }
}

fn up(home: &Home) -> Result<ExitCode, CommandError> {
    let up = block_on(sandbox::up(home, &setup()?, &mut tell))?.map_err(error)?;
    for warning in up.warnings {
        line(&format!("warning: {warning}"));
    }
    line(&format!("the sandbox is up after {:.2} s; its host file is {}", up.took.as_secs_f64(), up.host_file.display()));
    Ok(Exit::Green.into())
}

#[expect(clippy::print_stdout, reason = "this is the command's data")]
fn status(home: &Home) -> Result<ExitCode, CommandError> {
    let parts = block_on(sandbox::status(home))?.map_err(error)?;
    for part in &parts {
        println!("{:<10} {:<4} {}", part.name, if part.there { "ok" } else { "--" }, part.what);
    }
    let up = parts.iter().all(|part| part.there || part.name == "warning");
    Ok(if up { Exit::Green } else { Exit::Inconclusive }.into())
}

/// What `up` needs to know of this process: its binary, and whether `PATH` has a real abra.
pub(crate) fn setup() -> Result<Setup, CommandError> {
    let exe = std::env::current_exe().map_err(|error| CommandError::host(format!("cannot find taster's own binary: {error}")))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let abra = std::env::split_paths(&path).map(|folder| folder.join("abra")).find(|file| is_program(file));
    Ok(Setup { layout: Layout::default(), exe, abra })
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The sandbox's folder: `taster/sandbox` in the user's state folder, unless told otherwise.
pub(crate) fn folder(told: Option<PathBuf>) -> Result<Home, CommandError> {
    if let Some(folder) = told {
        return std::path::absolute(folder)
            .map(Home::at)
            .map_err(|error| CommandError::usage(format!("no such folder: {error}")));
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    let state = state.ok_or_else(|| {
        CommandError::usage("neither HOME nor XDG_STATE_HOME is set").remedy("Set one of them to a folder that can be written.")
    })?;
    Ok(Home::at(state.join("taster/sandbox")))
}

/// Prints what was done.
pub(crate) fn tell(progress: Progress) {
    line(&format!("{:>6.2} s  {}", progress.at.as_secs_f64(), progress.what));
}

#[expect(clippy::print_stderr, reason = "progress is for people, and data goes to standard output")]
fn line(text: &str) {
    eprintln!("{text}");
}

/// The command's error for one of the sandbox.
pub(crate) fn error(error: SandboxError) -> CommandError {
    CommandError::host(error.to_string()).remedy(error.remedy())
}
