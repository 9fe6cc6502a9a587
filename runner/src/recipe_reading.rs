//! Reads a recipe's files as a run would, for commands that neither fetch nor deploy anything.

use std::path::Path;

use harness::{
    adapters::{checkout::GitCheckout, tree},
    model::{
        head::Head,
        host::Host,
        names::{BadName, Commit, Domain, RecipeName, RunId, StackName},
        request::{Request, Source},
    },
    ports::{Checked, Checkout},
    pure::{recipe::compose::Tree, run::facts::recipe},
};

use crate::{
    env::Env,
    error::{CommandError, ErrorKind},
    host::{self, HostKind},
};

/// The commit of files that no commit holds.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The recipe under test, as it was read.
pub(crate) struct RecipeFiles {
    pub(crate) head: Head,
    pub(crate) tree: Tree,
    /// The repository; absent for a folder without one.
    pub(crate) repository: Option<Repository>,
}

/// A repository with the tags, branches and commits that it has.
pub(crate) struct Repository {
    pub(crate) checkout: GitCheckout,
    pub(crate) name: RecipeName,
    pub(crate) checked: Checked,
}

/// Reads the recipe that `request` names: from its folder, or from its clone below `clones`.
pub(crate) async fn read(
    env: &Env,
    request: &Request,
    host: &Host,
    clones: &Path,
    kind: HostKind,
) -> Result<RecipeFiles, CommandError> {
    let recipe = &request.recipe;
    let domain = Domain::of(recipe, &placeholder_run()?, &host.zone).map_err(CommandError::usage)?;
    let stack = StackName::of(&domain);
    let head = |version, commit: Commit, dirty| Head { recipe: recipe.clone(), version, commit, dirty, domain, stack };
    let at = match &request.source {
        Source::Catalogue { at } => at,
        Source::Folder { path } => {
            let tree = tree::in_folder(path)
                .map_err(|error| CommandError::usage(error).context(format!("cannot read {}", path.display())))?;
            let head = head(None, NO_COMMIT.parse().map_err(defect)?, true);
            return Ok(RecipeFiles { head, tree, repository: repository_at(env, path).await });
        }
    };
    if !clones.join(recipe.as_str()).is_dir() {
        return Err(absent(recipe, clones, kind));
    }
    let checkout = GitCheckout::of_recipes(clones, env.path.clone());
    let checked = checkout.read(recipe).await.map_err(CommandError::usage)?;
    let commit = match at.clone().or_else(|| recipe::newest(&checked.tags)) {
        Some(at) => checkout.find(recipe, &at).await.map_err(CommandError::usage)?,
        None => checked.head.clone(),
    };
    let tree = checkout.tree(recipe, &commit).await.map_err(CommandError::usage)?;
    let head = head(recipe::tagged(&checked.tags, &commit), commit, false);
    Ok(RecipeFiles { head, tree, repository: Some(Repository { checkout, name: recipe.clone(), checked }) })
}

/// The repository whose top folder this is; absent otherwise.
async fn repository_at(env: &Env, path: &Path) -> Option<Repository> {
    if !path.join(".git").exists() {
        return None;
    }
    let name: RecipeName = path.file_name()?.to_str()?.parse().ok()?;
    let checkout = GitCheckout::of_recipes(path.parent()?, env.path.clone());
    let checked = checkout.read(&name).await.ok()?;
    Some(Repository { checkout, name, checked })
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
