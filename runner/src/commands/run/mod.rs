//! `taster run`, which is also `taster --recipe NAME`.

mod all;
mod repeat;
#[cfg(test)]
mod repeated;

use std::{ffi::OsString, process};

use harness::{
    model::names::{Domain, RecipeName},
    report::Format,
};

use self::all::RunAll;
use crate::{
    ending,
    env::Env,
    error::CommandError,
    history,
    host::{self, RunHost},
    kept_app, packs,
    run_args::{self, RunArgs},
    runtime::block_on,
    single_run::{self, RunEnd},
};

/// Tests a recipe: deploys it, checks it, removes it, and prints a verdict
///
/// `taster --recipe NAME` is the same. The exit code is 0 for green, 1 for red, 3 when nothing is proved; the results are in the
/// run's folder, which the last lines name.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe, required_unless_present = "all")]
    recipe: Option<RecipeName>,
    /// Tests every recipe instead: on the sandbox those that it offers, on another host those that have a pack. Each has a
    /// separate run with the same options. A table comes at the end, and the most severe exit code of all runs is the exit code
    #[arg(long, conflicts_with_all = ["recipe", "ref", "path", "base", "pack", "keep", "failed", "choice", "repeat", "attach"])]
    all: bool,
    /// Leaves a recipe out
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe, conflicts_with = "recipe")]
    except: Vec<RecipeName>,
    /// How many recipes run at a time. A run for which memory, ports or addresses are not left waits and prints the reason
    #[arg(
        long,
        value_name = "N",
        default_value = "2",
        value_parser = clap::value_parser!(u32).range(1..=16),
        conflicts_with = "recipe"
    )]
    jobs: u32,
    #[command(flatten)]
    args: RunArgs,
    /// What is printed on standard output at the end
    #[arg(long, value_name = "FORMAT", value_parser = ending::format_parser(), default_value = Format::ALL[0].name())]
    format: Format,
    /// Runs so many times, one after the other, and ends with a table of the verdicts
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100),
        conflicts_with = "format"
    )]
    repeat: u32,
    /// Runs the custom tests, and nothing else, on an app that an earlier run keeps
    #[arg(
        long,
        value_name = "DOMAIN",
        conflicts_with_all = ["repeat", "ref", "tiers", "base", "disaster", "thorough", "keep", "no_canaries"]
    )]
    attach: Option<Domain>,
    /// Runs only the tests of this file
    #[arg(long, value_name = "FILE", hide = true, requires = "attach")]
    file: Vec<String>,
    /// Makes the sandbox without asking
    #[arg(long)]
    yes: bool,
}

impl Run {
    /// Runs the command; `args` are its arguments as they were typed.
    pub fn run(self, env: &Env, args: &[OsString]) -> Result<process::ExitCode, CommandError> {
        let Some(recipe) = self.recipe.clone() else { return self.run_all(env, args) };
        if let Some(domain) = self.attach.clone() {
            return self.run_on_kept(env, recipe, &domain);
        }
        let source = self.args.source()?;
        let RunHost { host, sandbox } = host::find(env, self.args.host.as_deref(), self.yes)?;
        if let Some(home) = &sandbox {
            host::sandbox::provide(home, &recipe, &source, self.args.offline)?;
        }
        let pack = packs::of(&recipe)?;
        let request = self.args.request(env, recipe, source, sandbox.as_ref(), &pack)?;
        let history = || history::past(&env.runs(), &request.recipe, request.authoring.folder.as_deref());
        if self.repeat > 1 {
            return repeat::run(env, &host, &request, &pack, history(), self.repeat);
        }
        let end = block_on(single_run::run(env, host, request.clone(), pack, history()))??;
        Ok(print_end(env, &end, self.format))
    }

    /// Runs every recipe. What they need of the sandbox is made first, so that no two runs make it at once.
    fn run_all(self, env: &Env, args: &[OsString]) -> Result<process::ExitCode, CommandError> {
        let source = self.args.source()?;
        let RunHost { sandbox, .. } = host::find(env, self.args.host.as_deref(), self.yes)?;
        let names = match &sandbox {
            Some(_) => sandbox::recipes::enrolled(),
            None => recipes_with_pack(),
        };
        if let Some(unknown) = self.except.iter().find(|except| !names.iter().any(|name| name == except.as_str())) {
            return Err(CommandError::usage(format!("--except names {unknown}, which --all does not include"))
                .hint(format!("--all includes {}.", names.join(", "))));
        }
        let recipes = names.iter().filter_map(|name| name.parse().ok());
        let recipes: Vec<RecipeName> = recipes.filter(|recipe| !self.except.contains(recipe)).collect();
        for recipe in &recipes {
            packs::of(recipe)?;
            if let Some(home) = &sandbox {
                host::sandbox::provide(home, recipe, &source, self.args.offline)?;
            }
        }
        let jobs = usize::try_from(self.jobs).unwrap_or(1);
        RunAll { recipes, jobs, format: self.format, options: all::options_of_each(args) }.run(env)
    }

    /// Runs the custom tests on a kept app.
    fn run_on_kept(self, env: &Env, recipe: RecipeName, domain: &Domain) -> Result<process::ExitCode, CommandError> {
        let RunHost { host, .. } = host::find(env, self.args.host.as_deref(), self.yes)?;
        let held = kept_app::hold(&env.runs(), &recipe, domain, self.args.path().as_deref())?;
        let pack = packs::of(&recipe)?;
        let request = self.args.request_on_kept(env, recipe, held.attach.clone(), self.file, &pack)?;
        let end = block_on(single_run::run_on_kept(env, host, request, pack, &held))??;
        Ok(print_end(env, &end, self.format))
    }
}

/// The recipes that have a pack, without those that only a sandbox has.
fn recipes_with_pack() -> Vec<String> {
    let names = recipes::packs().iter().map(|pack| pack.name);
    names.filter(|name| !sandbox::recipes::is_own(name)).map(str::to_owned).collect()
}

fn print_end(env: &Env, end: &RunEnd, format: Format) -> process::ExitCode {
    match end {
        RunEnd::Finished(run) => {
            ending::print(env, run, format);
            run.exit_code().into()
        }
        RunEnd::NotBegun(exit) => (*exit).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_recipes_of_a_server_are_without_those_of_the_sandbox() {
        let names = recipes_with_pack();
        assert!(names.contains(&"ghost".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("hello")), "{names:?}");
    }
}
