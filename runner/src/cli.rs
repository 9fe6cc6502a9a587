//! The command line: what may be typed, and which command it means.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    commands::{child, doctor, janitor, look, run, sandbox, schema},
    env::Env,
    error::CommandError,
};

/// Tastes a Co-op Cloud recipe before it is served.
///
/// `taster --recipe NAME` is `taster run --recipe NAME`.
#[derive(Debug, Parser)]
#[command(name = "taster", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Look(look::Look),
    Doctor(doctor::Doctor),
    Janitor(janitor::Janitor),
    Sandbox(sandbox::Sandbox),
    Schema(schema::Schema),
    #[command(name = "__child", hide = true)]
    Child(child::Child),
}

/// Runs the command that `args` name and says how the process is to end.
pub fn main(args: impl IntoIterator<Item = OsString>, env: &Env) -> ExitCode {
    let cli = match Cli::try_parse_from(with_run(args)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.command {
        Command::Run(run) => run.run(env),
        Command::Look(look) => look.run(),
        Command::Doctor(doctor) => doctor.run(env),
        Command::Janitor(janitor) => janitor.run(env),
        Command::Sandbox(sandbox) => sandbox.run(env),
        Command::Schema(schema) => schema.run(),
        Command::Child(child) => child.run(),
    };
    done.unwrap_or_else(|error| report(&error))
}

/// `taster --recipe ghost` means `taster run --recipe ghost`: an option of `run` in the place of a command stands for `run`.
fn with_run(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let own = ["--help", "--version"];
    let option = args.get(1).and_then(|arg| arg.to_str()).filter(|arg| arg.starts_with("--"));
    if option.is_some_and(|option| !own.contains(&option)) {
        args.insert(1, "run".into());
    }
    args
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> Vec<String> {
        let args = with_run(args.iter().map(OsString::from));
        args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn an_option_in_the_place_of_a_command_stands_for_run() {
        assert_eq!(shown(&["taster", "--recipe", "ghost"]), ["taster", "run", "--recipe", "ghost"]);
        assert_eq!(shown(&["taster", "--yes", "--recipe=ghost"]), ["taster", "run", "--yes", "--recipe=ghost"]);
        assert_eq!(shown(&["taster", "run", "--recipe", "ghost"]), ["taster", "run", "--recipe", "ghost"]);
        assert_eq!(shown(&["taster", "--version"]), ["taster", "--version"]);
        assert_eq!(shown(&["taster"]), ["taster"]);
    }
}
