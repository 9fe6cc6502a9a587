//! Reads a recipe's repository as a run would, for commands that neither fetch nor deploy anything.

use std::{ffi::OsStr, path::Path, sync::Arc};

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

/// Reads the recipe that the request of `input` names: from its folder, or from its clone below `clones`.
pub(crate) async fn read(
    env: &Env,
    input: RunInput<'_>,
    clones: &Path,
    kind: HostKind,
    redact: Arc<Redact>,
) -> Result<RecipeFacts, CommandError> {
    let recipe = &input.request.recipe;
    let folder = match &input.request.source {
        Source::Catalogue { .. } => clones.join(recipe.as_str()),
        Source::Folder { path } => path.clone(),
    };
    match (&input.request.source, folder.is_dir()) {
        (_, true) => read_copy(&env.path, input, &folder, redact).await,
        (Source::Catalogue { .. }, false) => Err(absent(recipe, clones, kind)),
        (Source::Folder { .. }, false) => Err(CommandError::usage(format!("there is no folder {}", folder.display()))),
    }
}

/// Reads the recipe in `folder` from a copy that exists only until it is read, because git runs programs that a repository's own
/// configuration names. `path` is the `PATH` for git.
///
/// # Errors
/// When the folder is no recipe that a run could begin with. What a run would be refused for after that is in the facts.
pub async fn read_copy(
    path: &OsStr,
    input: RunInput<'_>,
    folder: &Path,
    redact: Arc<Redact>,
) -> Result<RecipeFacts, CommandError> {
    let request = input.request;
    let copies = tempfile::tempdir().map_err(|error| CommandError::host(error).context("cannot make a temporary folder"))?;
    let checkout = GitCheckout::new(copies.path(), path.to_owned()).learning(redact.clone());
    // Without an offline request a run clones the origin of abra's clone, which has no uncommitted changes.
    let with_changes = matches!(request.source, Source::Folder { .. }) || request.offline.is_some();
    let dirty = checkout.copy(&request.recipe, folder, with_changes).await.map_err(|error| unusable(error, folder))?;
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
pub fn placeholder_run() -> Result<RunId, CommandError> {
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
