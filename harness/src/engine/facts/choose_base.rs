//! The base of a run: the commit that head is compared with and upgraded from, with its files.

use super::{RunInput, recipe_checkout::with_newest_release};
use crate::{
    model::{
        names::{Commit, Domain, RunId, StackName},
        outcome::{Failure, Owner, Tier},
        refusal::Refusal,
        request::Request,
    },
    ports::{Checked, Checkout},
    pure::{
        recipe::{
            compose::Resolved,
            upgrade_base::{self, Base, BaseFacts, Chooser, Chosen},
        },
        run::facts::{BaseFiles, recipe},
    },
};

/// What is under test, as far as the choice of a base depends on it.
#[derive(Debug, Clone, Copy)]
pub struct UnderTest<'a> {
    /// The commit.
    pub commit: &'a Commit,
    /// The app's domain.
    pub domain: &'a Domain,
    /// The run.
    pub run: &'a RunId,
    /// The resolved files of the commit.
    pub resolved: &'a Resolved,
}

/// What head is compared with, and what it is upgraded from.
#[derive(Debug, Clone)]
pub struct Based {
    /// What lint compares head with: base, also where the request has no upgrade.
    pub against: Base,
    /// What the app is upgraded from.
    pub base: Base,
    /// The files of `base`; absent without one.
    pub base_files: Option<BaseFiles>,
}

impl Based {
    /// No base, and why there is none.
    pub fn nothing(request: &Request, why: &str) -> Self {
        let against = Base::None { why: why.into() };
        Self { base: upgraded_from(request, &against), against, base_files: None }
    }
}

/// Determines what head is compared with, what it is upgraded from, and the files of that.
pub async fn based(
    checkout: &dyn Checkout,
    input: RunInput<'_>,
    checked: &Checked,
    head: UnderTest<'_>,
) -> Result<Based, Refusal> {
    let against = choose(checkout, input, checked, head).await?;
    let base = upgraded_from(input.request, &against);
    let base_files = read_files(checkout, input, checked, head, &base).await?;
    Ok(Based { against, base, base_files })
}

/// What the app is upgraded from: nothing, when the request has no upgrade.
fn upgraded_from(request: &Request, against: &Base) -> Base {
    match request.tiers.contains(&Tier::Upgrade) {
        true => against.clone(),
        false => Base::None { why: "no upgrade was asked for".into() },
    }
}

/// What head is compared with, and upgraded from where the request has an upgrade.
async fn choose(checkout: &dyn Checkout, input: RunInput<'_>, checked: &Checked, head: UnderTest<'_>) -> Result<Base, Refusal> {
    let RunInput { request, pack, history, .. } = input;
    let requested = request.base.as_ref().map(|name| (name, Chooser::Request));
    let chosen = match requested.or(pack.settings.base.as_ref().map(|name| (name, Chooser::Pack))) {
        Some((name, by)) => {
            let found = checkout.find(&request.recipe, name).await;
            let commit = found.map_err(|error| with_newest_release(error, &checked.tags))?;
            // A pack's choice is for all heads, and a head cannot be its own base; a request's choice of head is an error.
            (by == Chooser::Request || commit != *head.commit).then(|| Chosen { name: name.clone(), commit, by })
        }
        None => None,
    };
    let known = BaseFacts {
        head: head.commit,
        head_version: recipe::version(head.resolved),
        tags: &checked.tags,
        branch: checked.branch.as_ref(),
        green: history,
        chosen: chosen.as_ref(),
    };
    upgrade_base::base(&known).map_err(|error| Refusal::Request { sentence: error.to_string() })
}

/// Reads the files of base, if there is one. A base whose files cannot be resolved as one app, or that policy refuses, refuses
/// the run.
async fn read_files(
    checkout: &dyn Checkout,
    input: RunInput<'_>,
    checked: &Checked,
    head: UnderTest<'_>,
    base: &Base,
) -> Result<Option<BaseFiles>, Refusal> {
    let RunInput { request, host, pack, .. } = input;
    let Some(commit) = base.commit() else { return Ok(None) };
    let tree = checkout.tree(&request.recipe, commit).await.map_err(|error| Refusal::Facts(error.into()))?;
    let repair = recipe::repair(pack, base).map(str::to_owned);
    let tree = recipe::with_repair(recipe::with_pack(tree, pack), repair.as_deref());
    let stack = StackName::of(head.domain);
    let read = recipe::resolved_repaired(&tree, head.domain, &stack, pack, head.run, repair.is_some());
    let resolved = read.map_err(|failure| {
        let message = format!("the base {base} cannot be deployed: {}; name another one with --base", failure.message);
        Refusal::Facts(Failure { message, ..failure }.owned_by(Owner::Dependency))
    })?;
    recipe::permitted(&resolved, &tree, &request.recipe, host)?;
    let pinned = base.version().is_some() && upgrade_base::can_be_pinned(&checked.tags);
    Ok(Some(BaseFiles { tree, resolved, pinned, repair }))
}
