//! The command line: what may be typed, and which command it means.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    commands::{child, janitor, look, sandbox},
    error::CommandError,
};

/// Tastes a Co-op Cloud recipe before it is served.
#[derive(Debug, Parser)]
#[command(name = "taster", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Look(look::Look),
    Janitor(janitor::Janitor),
    Sandbox(sandbox::Sandbox),
    #[command(name = "__child")]
    Child(child::Child),
}

/// Runs the command that `args` name and says how the process is to end.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.command {
        Command::Look(look) => look.run(),
        Command::Janitor(janitor) => janitor.run(),
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Child(child) => child.run(),
    };
    done.unwrap_or_else(|error| report(&error))
}

#[expect(clippy::print_stderr, reason = "the one place that prints errors")]
fn report(error: &CommandError) -> ExitCode {
    eprintln!("taster: {}", error.sentence);
    if let Some(remedy) = &error.remedy {
        eprintln!("  {remedy}");
    }
    error.exit.into()
}

/// The runtime of a command. One thread, and it is the main one: a child's parent-death signal is tied to the thread that
/// started it, so children must not be started from a thread that can end before the process.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::host(format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(future))
}
