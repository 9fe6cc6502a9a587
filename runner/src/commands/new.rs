//! `taster new`.

use std::{fs, path::PathBuf, process, sync::Arc};

use harness::{
    engine::facts::RunInput,
    model::{
        exit_code::ExitCode,
        names::RecipeName,
        outcome::Tier,
        pack::Pack,
        request::{Authoring, DEFAULT_DEADLINE, Extent, Request, Source, Tests},
    },
};

use crate::{
    env::Env,
    error::CommandError,
    host::{self, AssumedHost},
    output,
    pure::scaffold::scaffold,
    recipe_reading::read,
    run_args::{self, clones},
    runtime::block_on,
    workspace,
};

/// Writes the first pack of a recipe
///
/// The pack is written to `recipes/<name>/` among the sources of taster: settings with the health path and the databases of the
/// compose files, a health test that passes, and a roundtrip test that counts as not verified until its body is written. The
/// recipe is read where `taster plan` reads it. Nothing is overwritten.
#[derive(Debug, clap::Args)]
pub struct New {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = run_args::recipe)]
    recipe: RecipeName,
    /// A folder with the recipe
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The folder with one pack per recipe, instead of `recipes` where taster's sources are
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

impl New {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let packs = match self.into {
            Some(packs) => packs,
            None => workspace::packs(&workspace::current_dir()?).ok_or_else(|| {
                CommandError::usage("the current folder is not within the sources of taster, so there is no folder for packs")
                    .hint("Start it within the sources, or name the folder with --into.")
            })?,
        };
        let folder = packs.join(self.recipe.as_str());
        if folder.exists() {
            return Err(CommandError::usage(format!("{} exists already, and nothing is overwritten", folder.display()))
                .hint("Add tests to it, or remove it first."));
        }
        let AssumedHost { host, home, kind } = host::assume(env, None)?;
        let source = match self.path {
            Some(path) => Source::Folder { path },
            None => Source::Catalogue { at: None },
        };
        let request = Request {
            recipe: self.recipe.clone(),
            source,
            tiers: [Tier::Install].into(),
            base: None,
            extent: Extent::default(),
            tests: Tests::default(),
            deadline: DEFAULT_DEADLINE,
            host_file: None,
            offline: None,
            pr: None,
            trigger: None,
            authoring: Authoring::default(),
        };
        let input = RunInput { request: &request, host: &host, pack: &Pack::default() };
        let read = block_on(read(env, input, &clones(env, home.as_ref()), kind, Arc::default()))??;
        let mut written = String::new();
        for (file, text) in scaffold(&self.recipe, &read.resolved) {
            let file = folder.join(file);
            let made = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
            made.map_err(|error| CommandError::host(error).context(format!("cannot write {}", file.display())))?;
            written += &format!("{}\n", workspace::relative(&file).display());
        }
        output::print(&written)?;
        output::message(&format!("next: cargo run -- --recipe {} --tiers install,custom --keep", self.recipe));
        Ok(ExitCode::Green.into())
    }
}
