//! The command line: the arguments, and the command that they mean.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{self, Write as _},
    process,
};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use harness::model::{exit_code::ExitCode, names::RecipeName};

use crate::{
    commands::{
        child, completions, doctor, janitor, list, new, pack, plan, prune, run, sandbox, schema, screenshot, show, status,
        verify, watch,
    },
    env::Env,
    error::{self, CommandError},
    logging, state_folder,
};

/// The width of the reference page's help texts, in columns.
const REFERENCE_WIDTH: usize = 100;

/// Tests a Co-op Cloud recipe on a real Docker Swarm
///
/// `taster --recipe NAME` is `taster run --recipe NAME`; `taster run --help` names the options.
///
/// Data goes to standard output, everything else to standard error. Exit codes: 0 green or done, 1 red, 2 usage, 3 nothing is
/// proved or the host is not fit, 4 something was left or changed, 5 nothing ran, 6 taster itself failed, 128+n ended by signal
/// n.
///
/// The environment variable `TASTER_LOG` selects the level of the log on standard error: off, error, warn (the default), info,
/// debug or trace.
#[derive(Debug, Parser)]
#[command(name = "taster", version, disable_help_subcommand = true)]
#[command(override_usage = "taster --recipe NAME [OPTIONS]\n       taster <COMMAND>")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Plan(plan::Plan),
    List(list::List),
    Show(show::Show),
    Verify(verify::Verify),
    New(new::New),
    Watch(watch::Watch),
    Status(status::Status),
    Doctor(doctor::Doctor),
    Janitor(janitor::Janitor),
    Prune(prune::Prune),
    Sandbox(sandbox::Sandbox),
    Schema(schema::Schema),
    Completions(completions::Completions),
    #[command(name = "__child", hide = true)]
    Child(child::Child),
    #[command(name = "__pack", hide = true)]
    Pack(pack::Pack),
    #[command(name = "__screenshot", hide = true)]
    Screenshot(screenshot::Screenshot),
}

impl Command {
    /// Whether it reads or writes taster's state folder.
    fn uses_state(&self) -> bool {
        match self {
            Command::Run(_)
            | Command::Plan(_)
            | Command::List(_)
            | Command::Show(_)
            | Command::Verify(_)
            | Command::New(_)
            | Command::Watch(_)
            | Command::Doctor(_)
            | Command::Janitor(_)
            | Command::Prune(_)
            | Command::Sandbox(_) => true,
            Command::Status(_)
            | Command::Schema(_)
            | Command::Completions(_)
            | Command::Child(_)
            | Command::Pack(_)
            | Command::Screenshot(_) => false,
        }
    }
}

/// Runs the command that `args` name and gives the exit code of the process.
pub fn main(args: impl IntoIterator<Item = OsString>, env: &Env) -> process::ExitCode {
    let args = with_run(with_help(args));
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(better) = recipe_as_command(&error) {
                return error::report(&better).into();
            }
            print_usage(&error);
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Green }.into();
        }
    };
    execute(cli.command, &args, env).unwrap_or_else(|error| error::report(&error).into())
}

fn execute(command: Command, args: &[OsString], env: &Env) -> Result<process::ExitCode, CommandError> {
    logging::init(env.log.as_deref())?;
    if command.uses_state() {
        state_folder::check(env)?;
    }
    match command {
        Command::Run(run) => run.run(env, args.get(2..).unwrap_or_default()),
        Command::Plan(plan) => plan.run(env),
        Command::List(list) => list.run(env),
        Command::Show(show) => show.run(env),
        Command::Verify(verify) => verify.run(env),
        Command::New(new) => new.run(env),
        Command::Watch(watch) => watch.run(env),
        Command::Status(status) => status.run(),
        Command::Doctor(doctor) => doctor.run(env),
        Command::Janitor(janitor) => janitor.run(env),
        Command::Prune(prune) => prune.run(env),
        Command::Sandbox(sandbox) => sandbox.run(env),
        Command::Schema(schema) => schema.run(),
        Command::Completions(completions) => completions.run(&mut visible_command()),
        Command::Child(child) => child.run(),
        Command::Pack(pack) => pack.run(env),
        Command::Screenshot(screenshot) => Ok(screenshot.run(env)),
    }
}

/// The arguments with `--help` behind the command for `taster help COMMAND`, which other programs have.
fn with_help(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    args
}

/// Prints what the parser says: help on standard output, an error in the form of all errors.
fn print_usage(error: &clap::Error) {
    if !error.use_stderr() {
        let _ = error.print();
        return;
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").map_or_else(|| text.clone(), |rest| format!("Error: {rest}"));
    let hint = |line: &str| line.strip_prefix("  tip: ").map_or_else(|| line.to_owned(), |tip| format!("Hint: {tip}"));
    let lines: Vec<String> = text.trim_end().lines().map(hint).collect();
    // Where standard error cannot be written, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}

/// The arguments with the command `run` where an option stands in the place of a command: `taster --recipe ghost` means
/// `taster run --recipe ghost`.
fn with_run(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let own = ["--help", "--version"];
    let option = args.get(1).map(|arg| arg.to_string_lossy()).filter(|arg| arg.starts_with("--"));
    if option.is_some_and(|option| !own.contains(&option.as_ref())) {
        args.insert(1, "run".into());
    }
    args
}

/// A better error than clap's for an unknown command that may be the name of a recipe.
fn recipe_as_command(error: &clap::Error) -> Option<CommandError> {
    let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
    else {
        return None;
    };
    let known = ::sandbox::recipes::all().contains(word);
    if error.get(ContextKind::SuggestedSubcommand).is_some() && !known {
        return None;
    }
    let recipe: RecipeName = word.parse().ok()?;
    let error = CommandError::usage(format!("there is no command `{recipe}`; did you mean `taster --recipe {recipe}`?"));
    Some(error.hint("`taster --help` lists the commands."))
}

/// The command line for the completions of shells: the commands and options for people, and the options of `run` in the place of
/// a command.
fn visible_command() -> clap::Command {
    let options = run::Run::augment_args(clap::Command::new("run"));
    let options = options.get_arguments().cloned().map(|option| option.required(false));
    without_hidden(Cli::command()).args(options.collect::<Vec<_>>())
}

/// The command without its hidden subcommands.
fn without_hidden(command: clap::Command) -> clap::Command {
    let mut bare = clap::Command::new(command.get_name().to_owned()).disable_help_subcommand(true).args(command.get_arguments());
    if let Some(about) = command.get_about() {
        bare = bare.about(about.clone());
    }
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).cloned().map(without_hidden);
    bare.subcommands(below.collect::<Vec<_>>())
}

/// The reference of the command line, in Markdown: the long help of each command that is not hidden.
pub fn reference() -> String {
    let mut text = String::from(
        "# Commands\n\nThe output of `--help` for each command. This page is generated:\n\
         `TASTER_BLESS=1 cargo test -p unit-tests reference` renews it.\n",
    );
    add_chapter(&mut text, "taster", Cli::command().term_width(REFERENCE_WIDTH));
    text
}

fn add_chapter(text: &mut String, name: &str, command: clap::Command) {
    let mut command = command.bin_name(name);
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n"));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add_chapter(text, &format!("{name} {}", below.get_name()), below.clone().term_width(REFERENCE_WIDTH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_in_the_place_of_a_command_means_run() {
        let completed = |args: &[&str]| {
            let args = with_run(args.iter().map(OsString::from)).into_iter();
            args.map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(completed(&["taster", "--recipe", "ghost"]), ["taster", "run", "--recipe", "ghost"]);
        assert_eq!(completed(&["taster", "--yes", "--recipe=ghost"]), ["taster", "run", "--yes", "--recipe=ghost"]);
        assert_eq!(completed(&["taster", "run", "--recipe", "ghost"]), ["taster", "run", "--recipe", "ghost"]);
        assert_eq!(completed(&["taster", "--version"]), ["taster", "--version"]);
        assert_eq!(completed(&["taster"]), ["taster"]);
    }
}
