//! Reads a recipe's repository as a run would, for commands that neither fetch nor deploy anything.

use std::{path::Path, sync::Arc};

use harness::{
    adapters::checkout::GitCheckout,
    engine::facts::{RecipeClone, RecipeFacts, RunInput, read_recipe},
    model::{
        names::{BadName, RecipeName, RunId},
        outcome::Cause,
        refusal::Refusal,
        request::Source,
    },
    ports::CheckoutError,
    redact::Redact,
};

use crate::{
    env::Env,
    error::{CommandError, ErrorKind},
    host::{self, HostKind},
};

/// Reads the recipe that the request of `input` names: from its folder, or from its clone below `clones`. It is copied to a folder
/// that exists only until it is read, because git runs programs that a repository's own configuration names.
pub(crate) async fn read(
    env: &Env,
    input: RunInput<'_>,
    clones: &Path,
    kind: HostKind,
    redact: Arc<Redact>,
) -> Result<RecipeFacts, CommandError> {
    let recipe = &input.request.recipe;
    let (folder, with_changes) = match &input.request.source {
        Source::Catalogue { .. } => (clones.join(recipe.as_str()), input.request.offline.is_some()),
        Source::Folder { path } => (path.clone(), true),
    };
    if !folder.is_dir() {
        return Err(match &input.request.source {
            Source::Catalogue { .. } => absent(recipe, clones, kind),
            Source::Folder { path } => CommandError::usage(format!("there is no folder {}", path.display())),
        });
    }
    let copies = tempfile::tempdir().map_err(|error| CommandError::host(error).context("cannot make a temporary folder"))?;
    let checkout = GitCheckout::new(copies.path(), env.path.clone()).learning(redact.clone());
    let dirty = checkout.copy(recipe, &folder, with_changes).await.map_err(|error| unusable(error, &folder))?;
    let run = &placeholder_run()?;
    let read = read_recipe(RecipeClone { checkout: &checkout, input, run, dirty }).await;
    read.map_err(|refusal| match refusal {
        Refusal::Request { sentence } => CommandError::usage(redact.text(&sentence)),
        Refusal::Policy { sentences } => CommandError::usage(redact.text(&sentences.join("; "))),
        Refusal::Facts(failure) if failure.cause == Cause::Unresolvable => {
            CommandError::new(ErrorKind::Recipe, redact.text(&failure.message))
        }
        Refusal::Facts(failure) => CommandError::usage(redact.text(&failure.message)),
    })
}

fn unusable(error: CheckoutError, folder: &Path) -> CommandError {
    CommandError::usage(error).context(format!("cannot read {}", folder.display()))
}

/// A run id of the usual length, for names whose length counts where there is no run.
pub(crate) fn placeholder_run() -> Result<RunId, CommandError> {
    RunId::new("00000000-000000", [0; 5]).map_err(defect)
}

fn defect(error: BadName) -> CommandError {
    CommandError::new(ErrorKind::Host, error)
}

fn absent(recipe: &RecipeName, clones: &Path, kind: HostKind) -> CommandError {
    let no_clone = CommandError::usage(format!("there is no recipe {recipe} in {}", clones.display()));
    match kind {
        HostKind::Sandbox if sandbox::recipes::all().iter().any(|name| name == recipe.as_str()) => {
            no_clone.hint("Run `taster sandbox up`, which makes it.")
        }
        HostKind::Sandbox => host::sandbox::unknown_recipe(recipe),
        HostKind::FutureSandbox => {
            no_clone.hint("There is no sandbox yet, and no host file. Run `taster sandbox up` to make a sandbox.")
        }
        HostKind::Server => {
            no_clone.hint(format!("Fetch it with `abra recipe fetch {recipe}`. `taster list` names the recipes that are there."))
        }
    }
}
