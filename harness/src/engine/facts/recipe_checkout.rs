//! The clone of the recipe under test, which abra or git makes in the run's `ABRA_DIR`.

use std::time::Duration;

use super::{FactSources, readings, recipe_facts::refused};
use crate::{
    model::{outcome::Failure, refusal::Refusal, request::Source},
    ports::{AbraError, Call},
    pure::{host::claim::Claim, run::event::Note},
};

/// How long abra may take to clone a recipe.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

/// Clones the recipe. Returns the version of abra, and whether the clone has uncommitted changes.
pub(super) async fn fetch(sources: FactSources<'_>, claim: &Claim) -> Result<(String, bool), Refusal> {
    // An abra that cannot report its version ends the run at once, and any other failure of the two counts as its fault.
    let cloned = async { Ok(clone(sources, claim).await) };
    let (abra, cloned) = tokio::try_join!(abra_version(sources), cloned)?;
    Ok((abra, cloned?))
}

async fn abra_version(sources: FactSources<'_>) -> Result<String, Refusal> {
    let version = readings::abra_version(sources.ports).await.map_err(|(error, _)| unusable_abra(error))?;
    sources.log.note(Note::Tool { tool: "abra".into(), version: version.clone() });
    Ok(version)
}

/// Clones the recipe into the run's `ABRA_DIR`. Says whether the clone has uncommitted changes.
async fn clone(sources: FactSources<'_>, claim: &Claim) -> Result<bool, Refusal> {
    let FactSources { input, ports, .. } = sources;
    let recipe = &input.request.recipe;
    match (&input.request.source, &input.request.offline) {
        (Source::Catalogue { .. }, Some(fetched)) => {
            ports.checkout.adopt(claim, recipe, &fetched.join(recipe.as_str())).await.map_err(refused)
        }
        (Source::Catalogue { .. }, None) => {
            let fetch = Call::Fetch { recipe: recipe.clone() };
            ports.abra.call(&fetch, Some(claim), FETCH_TIMEOUT).await.map_err(unusable_abra)?;
            Ok(false)
        }
        (Source::Folder { path }, _) => ports.checkout.adopt(claim, recipe, path).await.map_err(refused),
    }
}

/// The refusal of an abra that cannot be used, with the remedy.
fn unusable_abra(error: AbraError) -> Refusal {
    let remedy = readings::abra_remedy(&error);
    let failure = Failure::from(error);
    let message = if remedy.is_empty() { failure.message } else { format!("{}; {remedy}", failure.message) };
    Refusal::Facts(Failure { message, ..failure })
}
