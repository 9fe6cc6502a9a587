//! The stand-in for abra: `.env`, labels, checkout and secrets of its own, then the real `docker stack deploy`.
//!
//! It does what a run needs and keeps abra's traps: it wants a terminal where abra does, prints fatal lines to standard
//! output, moves the checkout in `app new`, rewrites the `.env`, and comes back from `app undeploy` too early.

mod app;
mod backup;
mod checkout;
mod cli;
mod command;
mod compose;
mod deploy;
mod env;
mod lint;
mod list;
mod new;
mod overlay;
mod remove;
mod secrets;
mod swarm;
mod terminal;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::home::{Capabilities, Home};
use cli::{App, Cli, Command, Recipe};
use terminal::{Done, Fatal, Level};

/// What the stand-in says for `--version`. It has the shape of abra's own line.
const VERSION: &str = "abra version 0.13.0-beta-sandbox";

/// What every command knows.
#[derive(Debug)]
struct Context {
    /// Where apps and recipes are.
    abra_dir: PathBuf,
    /// Where recipes are cloned from.
    sources: PathBuf,
    capabilities: Capabilities,
    /// The name of the sandbox's own backup service.
    bot: String,
    no_input: bool,
    offline: bool,
    debug: bool,
}

impl Context {
    /// The recipe `name`, which is cloned when it is not there yet; offline that is fatal (docs/reference/abra.md 8).
    fn recipe(&self, name: &str) -> Done<checkout::Recipe> {
        let sources = (!self.offline).then_some(self.sources.as_path());
        checkout::Recipe::ensure_exists(&self.abra_dir, sources, name)
    }
}

/// Runs abra's command line. Exit code 1 for whatever goes wrong, as abra has no other.
pub fn main(home: &Home, args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from([OsString::from("abra")].into_iter().chain(args)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if cli.version {
        terminal::line(VERSION);
        return ExitCode::SUCCESS;
    }
    match context(home, &cli).and_then(|context| run(&context, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fatal(text)) => {
            terminal::log(Level::Fatal, &text);
            ExitCode::FAILURE
        }
    }
}

fn context(home: &Home, cli: &Cli) -> Done<Context> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let abra_dir = set("ABRA_DIR").or_else(|| Some(set("HOME")?.join(".abra")));
    Ok(Context {
        abra_dir: abra_dir.ok_or_else(|| Fatal::new("neither ABRA_DIR nor HOME is set"))?,
        sources: home.recipes(),
        capabilities: home.capabilities(),
        bot: home.layout().backup_name(),
        no_input: cli.global.no_input,
        offline: cli.global.offline,
        debug: cli.global.debug,
    })
}

fn run(context: &Context, command: Option<Command>) -> Done {
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

fn fetch(context: &Context, name: &str) -> Done {
    let recipe = context.recipe(name)?;
    recipe.ensure_clean()?;
    if !context.offline {
        recipe.fetch()?;
    }
    terminal::info(format!("{name} fetched"));
    Ok(())
}
