//! The command line: what may be typed, and which command it means.

use std::{ffi::OsString, fmt::Write, process::ExitCode};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use harness::model::names::RecipeName;

use crate::{
    commands::{
        child, completions, doctor, janitor, list, new, pack, plan, run, sandbox, schema, screenshot, show, status, verify, watch,
    },
    env::Env,
    error::{CommandError, Exit},
    output,
};

/// How wide the reference is.
const REFERENCE_WIDTH: usize = 100;

/// Tastes a Co-op Cloud recipe before it is served
///
/// `taster --recipe NAME` is `taster run --recipe NAME`; `taster run --help` names the options.
///
/// Data goes to standard output, all else to standard error. Exit codes: 0 green or done, 1 red, 2 usage, 3 nothing is proved or the
/// host is not fit, 4 something was left or changed, 5 nothing ran, 6 taster itself failed, 128+n ended by signal n.
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
    Observation(status::Observation),
    Doctor(doctor::Doctor),
    Janitor(janitor::Janitor),
    Sandbox(sandbox::Sandbox),
    Schema(schema::Schema),
    Completions(completions::Completions),
    #[command(name = "__child", hide = true)]
    Child(child::Child),
    #[command(name = "__pack", hide = true)]
    Pack(pack::Pack),
    #[command(name = "__shot", hide = true)]
    Shot(screenshot::Shot),
}

/// Runs the command that `args` name and says how the process is to end.
pub fn main(args: impl IntoIterator<Item = OsString>, env: &Env) -> ExitCode {
    let args = with_run(args);
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(better) = meant_recipe(&error) {
                return report(&better);
            }
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Green }.into();
        }
    };
    let done = match cli.command {
        Command::Run(run) => run.run(env, args.get(2..).unwrap_or_default()),
        Command::Plan(plan) => plan.run(env),
        Command::List(list) => list.run(env),
        Command::Show(show) => show.run(env),
        Command::Verify(verify) => verify.run(env),
        Command::Completions(completions) => completions.run(),
        Command::New(new) => new.run(env),
        Command::Watch(watch) => watch.run(env),
        Command::Observation(look) => look.run(),
        Command::Doctor(doctor) => doctor.run(env),
        Command::Janitor(janitor) => janitor.run(env),
        Command::Sandbox(sandbox) => sandbox.run(env),
        Command::Schema(schema) => schema.run(),
        Command::Child(child) => child.run(),
        Command::Pack(pack) => pack.run(env),
        Command::Shot(shot) => Ok(shot.run(env)),
    };
    done.unwrap_or_else(|error| report(&error))
}

/// `taster --recipe ghost` means `taster run --recipe ghost`: an option of `run` in the place of a command stands for `run`.
fn with_run(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let own = ["--help", "--version"];
    let option = args.get(1).map(|arg| arg.to_string_lossy()).filter(|arg| arg.starts_with("--"));
    if option.is_some_and(|option| !own.contains(&option.as_ref())) {
        args.insert(1, "run".into());
    }
    args
}

/// What is better said than clap's own words about a command that there is not: a recipe was meant.
fn meant_recipe(error: &clap::Error) -> Option<CommandError> {
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
    let remedy = format!("did you mean `taster --recipe {recipe}`? `taster --help` lists the commands");
    Some(CommandError::usage(format!("there is no command `{recipe}`")).remedy(remedy))
}

fn report(error: &CommandError) -> ExitCode {
    output::tell(&format!("taster: {}", error.sentence));
    if let Some(remedy) = &error.remedy {
        output::tell(&format!("  {remedy}"));
    }
    error.exit.into()
}

/// What shells offer: the commands and options for people, those of `run` in the place of a command, too.
pub(crate) fn offered() -> clap::Command {
    let options = run::Run::augment_args(clap::Command::new("run"));
    let options = options.get_arguments().cloned().map(|option| option.required(false));
    visible(Cli::command()).args(options.collect::<Vec<_>>())
}

/// The command without the subcommands that people need not know.
fn visible(command: clap::Command) -> clap::Command {
    let mut bare = clap::Command::new(command.get_name().to_owned()).disable_help_subcommand(true).args(command.get_arguments());
    if let Some(about) = command.get_about() {
        bare = bare.about(about.clone());
    }
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).cloned().map(visible);
    bare.subcommands(below.collect::<Vec<_>>())
}

/// The reference of the command line, in Markdown: the long help of each command that people may type.
pub fn reference() -> String {
    let mut text = String::from(
        "# Commands\n\nWhat `--help` says of each command. This page is generated:\n`TASTER_BLESS=1 cargo test -p unit-tests reference` renews it.\n",
    );
    chapter(&mut text, "taster", Cli::command().term_width(REFERENCE_WIDTH));
    text
}

fn chapter(text: &mut String, name: &str, command: clap::Command) {
    let mut command = command.bin_name(name);
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n"));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        chapter(text, &format!("{name} {}", below.get_name()), below.clone().term_width(REFERENCE_WIDTH));
    }
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
