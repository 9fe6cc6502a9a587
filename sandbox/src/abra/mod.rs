//! The stand-in for abra: its own `.env`, labels, checkout and secrets, then the real `docker stack deploy`.
//!
//! It has the commands that a run needs, and abra's traps: it requires a terminal where abra does, prints fatal lines to
//! standard output, moves the checkout in `app new`, rewrites the `.env`, and returns from `app undeploy` before the end.
//! docs/reference/abra.md has the facts about abra.

mod app;
mod backup;
mod checkout;
mod cli;
mod command;
mod compose;
mod deploy;
mod docker;
mod env;
mod error;
mod lint;
mod list;
mod new;
mod overlay;
mod remove;
mod secrets;
mod terminal;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::home::{Capabilities, Home};
use cli::{App, Cli, Command, Recipe};
use error::{CommandResult, Fatal};
use terminal::Level;

/// The line for `--version`, in the form of abra's own.
const VERSION: &str = "abra version 0.13.0-beta-sandbox";

/// A reader of compose files, which the caller shares with what judges them.
#[derive(Debug, Clone, Copy)]
pub struct ComposeReader {
    /// The text of a file, by its name and its text, as YAML on one line that every reader takes alike.
    pub plain: fn(&str, &str) -> Result<String, String>,
    /// The text of a file with its variables filled in, all paths absolute, and no dollar that Docker takes for a variable.
    pub without_variables: fn(&Unfilled<'_>) -> Result<String, String>,
}

/// A compose file with what its values depend on.
#[derive(Debug, Clone, Copy)]
pub struct Unfilled<'a> {
    /// The file, for messages.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The app's variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The folder to which all paths are relative.
    pub folder: &'a str,
}

/// The input that all commands share.
#[derive(Debug)]
struct Context {
    reader: ComposeReader,
    /// The folder of apps and recipes.
    abra_dir: PathBuf,
    /// The folder from which recipes are cloned.
    sources: PathBuf,
    capabilities: Capabilities,
    /// The name of the sandbox's own backup service.
    bot: String,
    no_input: bool,
    offline: bool,
    debug: bool,
}

impl Context {
    /// The recipe `name`, cloned when it is missing; offline that is fatal (docs/reference/abra.md 8).
    fn recipe(&self, name: &str) -> CommandResult<checkout::Recipe> {
        let sources = (!self.offline).then_some(self.sources.as_path());
        checkout::Recipe::ensure_exists(&self.abra_dir, sources, name)
    }
}

/// Runs abra's command line. Every failure has exit code 1, as in abra.
pub fn main(home: &Home, reader: ComposeReader, args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from([OsString::from("abra")].into_iter().chain(args)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if cli.version {
        terminal::print_line(VERSION);
        return ExitCode::SUCCESS;
    }
    match context(home, reader, &cli).and_then(|context| run(&context, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fatal(text)) => {
            terminal::print_log(Level::Fatal, &text);
            ExitCode::FAILURE
        }
    }
}

fn context(home: &Home, reader: ComposeReader, cli: &Cli) -> CommandResult<Context> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let abra_dir = set("ABRA_DIR").or_else(|| Some(set("HOME")?.join(".abra")));
    Ok(Context {
        reader,
        abra_dir: abra_dir.ok_or_else(|| Fatal::new("neither ABRA_DIR nor HOME is set"))?,
        sources: home.recipes(),
        capabilities: home.capabilities(),
        bot: home.layout().backup_name(),
        no_input: cli.global.no_input,
        offline: cli.global.offline,
        debug: cli.global.debug,
    })
}

fn run(context: &Context, command: Option<Command>) -> CommandResult {
    match command {
        None => Err(Fatal::new("no command provided")),
        Some(Command::App(App::New(new))) => new::main(context, new),
        Some(Command::App(App::Deploy(deploy))) => deploy::main(context, deploy),
        Some(Command::App(App::Undeploy(undeploy))) => remove::undeploy(context, &undeploy),
        Some(Command::App(App::Remove(remove))) => remove::remove(context, &remove),
        Some(Command::App(App::List(list))) => list::apps(context, &list),
        Some(Command::App(App::Ps(ps))) => list::ps(context, &ps),
        Some(Command::App(App::Secret(secret))) => secrets::main(context, secret),
        Some(Command::App(App::Volume(volume))) => remove::volumes(context, volume),
        Some(Command::App(App::Command(call))) => command::main(context, &call),
        Some(Command::App(App::Backup(command))) => backup::main(context, command),
        Some(Command::App(App::Restore(restore))) => backup::restore(context, &restore),
        Some(Command::Recipe(Recipe::Fetch { recipe, .. })) => fetch(context, &recipe),
        Some(Command::Recipe(Recipe::Lint(lint))) => lint::main(context, &lint),
        Some(Command::Recipe(Recipe::Versions { recipe, machine })) => list::versions(context, &recipe, machine),
    }
}

fn fetch(context: &Context, name: &str) -> CommandResult {
    let recipe = context.recipe(name)?;
    recipe.ensure_clean()?;
    if !context.offline {
        recipe.fetch()?;
    }
    terminal::info(format!("{name} fetched"));
    Ok(())
}
