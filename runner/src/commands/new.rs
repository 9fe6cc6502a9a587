//! `taster new`.

use std::{fs, path::PathBuf, process::ExitCode};

use harness::{
    model::{
        names::RecipeName,
        outcome::{Failure, Tier},
        pack::Pack,
        request::{Authoring, DEFAULT_DEADLINE, Extent, Request, Source, Tests},
    },
    pure::run::facts::recipe,
};

use super::plan::{Ground, ground, no_run, read};
use crate::{
    cli::block_on,
    env::Env,
    error::{CommandError, Exit},
    output,
    pure::scaffold::scaffold,
    run_args::{self, fetched},
    workspace,
};

/// Writes the first pack of a recipe
///
/// The pack is written to `recipes/<name>/` among the sources of taster: settings with the health path and the databases that the
/// compose files tell of, a health test that passes, and a roundtrip test that counts as not verified until it is written. The recipe is
/// read where `taster plan` reads it. Nothing is overwritten.
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
    /// Does it.
    pub fn run(self, env: &Env) -> Result<ExitCode, CommandError> {
        let packs = match self.into {
            Some(packs) => packs,
            None => workspace::packs(&workspace::here()?).ok_or_else(|| {
                CommandError::usage("taster's sources are not here, so there is no folder for packs")
                    .remedy("start it within the sources, or name the folder with --into")
            })?,
        };
        let folder = packs.join(self.recipe.as_str());
        if folder.exists() {
            return Err(CommandError::usage(format!("{} is there already, and nothing is overwritten", folder.display()))
                .remedy("add tests to it, or remove it first"));
        }
        let Ground { host, home, sandbox } = ground(env, None)?;
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
            authoring: Authoring::default(),
        };
        let read = block_on(read(env, &request, &host, &fetched(env, home.as_ref()), sandbox))??;
        let unresolvable = |failure: Failure| CommandError { exit: Exit::Red, ..CommandError::usage(failure.message) };
        let (domain, stack) = (&read.head.domain, &read.head.stack);
        let resolved = recipe::resolved_with(&read.tree, domain, stack, &Pack::default(), &no_run()?).map_err(unresolvable)?;
        let mut written = String::new();
        for (file, text) in scaffold(&self.recipe, &resolved) {
            let file = folder.join(file);
            let made = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
            made.map_err(|error| CommandError::host(format!("cannot write {}: {error}", file.display())))?;
            written += &format!("{}\n", workspace::nearby(&file).display());
        }
        output::print(&written)?;
        output::tell(&format!("next: cargo run -- --recipe {} --tiers install,custom --keep", self.recipe));
        Ok(Exit::Green.into())
    }
}
