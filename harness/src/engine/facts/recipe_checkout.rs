//! The checkout of the recipe under test: abra clones it, and git puts it on the commit that the request names.

use std::time::Duration;

use super::{FactSources, readings};
use crate::{
    model::{git::Tag, names::Commit, outcome::Failure, refusal::Refusal, request::Source},
    ports::{AbraError, Call, Checked, CheckoutError},
    pure::{
        host::claim::Claim,
        run::{
            event::Note,
            facts::recipe::{newest, tagged},
        },
    },
};

/// How long abra may take to clone a recipe.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

/// The checkout on the commit under test.
pub(super) struct RecipeCheckout {
    /// What the clone holds.
    pub(super) checked: Checked,
    /// The commit under test.
    pub(super) commit: Commit,
    /// Its release, if it has one.
    pub(super) version: Option<String>,
    /// Whether it holds uncommitted changes.
    pub(super) dirty: bool,
}

/// Clones the recipe and puts it on the commit under test. Also returns the version of abra.
pub(super) async fn fetch(sources: FactSources<'_>, claim: &Claim) -> Result<(String, RecipeCheckout), Refusal> {
    let FactSources { input, ports, .. } = sources;
    let request = input.request;
    // An abra that cannot report its version ends the run at once, and any other failure of the two counts as its fault.
    let cloned = async { Ok(clone(sources, claim).await) };
    let (abra, cloned) = tokio::try_join!(abra_version(sources), cloned)?;
    let (checked, dirty) = cloned?;
    let at = match &request.source {
        Source::Catalogue { at } => at.clone().or_else(|| newest(&checked.tags)),
        Source::Folder { .. } => None,
    };
    // A clone that was fetched before is tested at a commit of its history, without its uncommitted changes.
    let dirty = dirty && at.is_none();
    let commit = match at {
        Some(at) => {
            let gone = ports.checkout.go(claim, &request.recipe, &at).await;
            gone.map_err(|error| with_newest_release(error, &checked.tags))?
        }
        None => checked.head.clone(),
    };
    let version = tagged(&checked.tags, &commit);
    Ok((abra, RecipeCheckout { checked, commit, version, dirty }))
}

async fn abra_version(sources: FactSources<'_>) -> Result<String, Refusal> {
    let version = readings::abra_version(sources.ports).await.map_err(|(error, _)| unusable_abra(error))?;
    sources.log.note(Note::Tool { tool: "abra".into(), version: version.clone() });
    Ok(version)
}

/// Clones the recipe into the run's `ABRA_DIR`. Also says whether the clone has uncommitted changes.
async fn clone(sources: FactSources<'_>, claim: &Claim) -> Result<(Checked, bool), Refusal> {
    let FactSources { input, ports, .. } = sources;
    let recipe = &input.request.recipe;
    let refused = |error: CheckoutError| Refusal::Facts(error.into());
    let dirty = match (&input.request.source, &input.request.offline) {
        (Source::Catalogue { .. }, Some(fetched)) => {
            ports.checkout.adopt(claim, recipe, &fetched.join(recipe.as_str())).await.map_err(refused)?
        }
        (Source::Catalogue { .. }, None) => {
            let fetch = Call::Fetch { recipe: recipe.clone() };
            ports.abra.call(&fetch, Some(claim), FETCH_TIMEOUT).await.map_err(unusable_abra)?;
            false
        }
        (Source::Folder { path }, _) => ports.checkout.adopt(claim, recipe, path).await.map_err(refused)?,
    };
    let checked = ports.checkout.read(recipe).await.map_err(refused)?;
    Ok((checked, dirty))
}

/// The refusal of an abra that cannot be used, with the remedy.
fn unusable_abra(error: AbraError) -> Refusal {
    let remedy = readings::abra_remedy(&error);
    let failure = Failure::from(error);
    let message = if remedy.is_empty() { failure.message } else { format!("{}; {remedy}", failure.message) };
    Refusal::Facts(Failure { message, ..failure })
}

/// The refusal of a checkout; of a name that does not exist, with the newest release.
pub(super) fn with_newest_release(error: CheckoutError, tags: &[Tag]) -> Refusal {
    match error {
        CheckoutError::NoSuchRef { .. } => {
            let releases = match newest(tags) {
                Some(newest) => format!("its newest release is {newest}"),
                None => "it has no release".to_owned(),
            };
            Refusal::Request { sentence: format!("{error}; {releases}") }
        }
        other => Refusal::Facts(other.into()),
    }
}
