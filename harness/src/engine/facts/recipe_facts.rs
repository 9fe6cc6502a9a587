//! What a recipe's repository says: head, base, and the files of both. Runs and `taster plan` read it with this one function.

use std::collections::BTreeSet;

use super::RunInput;
use crate::{
    model::{
        git::Tag,
        head::Head,
        names::{Commit, Domain, RunId, StackName},
        outcome::{Failure, Owner, Tier},
        refusal::Refusal,
        request::{Request, Source},
    },
    ports::{Checked, Checkout, CheckoutError},
    pure::{
        recipe::{
            compose::{Resolved, Tree},
            policy::Deployable,
            release::{ReleaseFacts, ReleaseFaults, faults},
            upgrade_base::{self, Base, BaseFacts, Chooser, Chosen, LeftOut},
        },
        run::facts::{BaseFiles, recipe},
    },
};

/// A clone of the recipe, and what it is read for.
#[derive(Clone, Copy)]
pub struct RecipeClone<'a> {
    /// The checkouts with the clone.
    pub checkout: &'a dyn Checkout,
    /// The input of the run.
    pub input: RunInput<'a>,
    /// The run, whose letters are in the names of its app.
    pub run: &'a RunId,
    /// Whether the commit that is checked out holds uncommitted changes.
    pub dirty: bool,
}

/// What a recipe's repository says.
#[derive(Debug, Clone)]
pub struct RecipeFacts {
    /// The commit under test, and the app that it is deployed as.
    pub head: Head,
    /// Its files, with those that the pack adds.
    pub tree: Tree,
    /// Its resolved files.
    pub resolved: Resolved,
    /// What lint compares head with: base, also where the request has no upgrade.
    pub against: Base,
    /// What the app is upgraded from.
    pub base: Base,
    /// The files of `base`; absent without one.
    pub base_files: Option<BaseFiles>,
    /// The tags that base was not chosen from.
    pub left_out: Vec<LeftOut>,
    /// The faults of head as a release.
    pub faults: ReleaseFaults,
    /// Why a run would be refused; empty when it would not.
    pub refusals: Vec<Refusal>,
}

/// Reads the clone.
///
/// # Errors
/// When head is not known, or its files cannot be read as one app. Every other reason to refuse a run is in the facts.
pub async fn read_recipe(clone: RecipeClone<'_>) -> Result<RecipeFacts, Refusal> {
    let RecipeClone { checkout, input, run, dirty } = clone;
    let RunInput { request, host, pack, .. } = input;
    let domain =
        Domain::of(&request.recipe, run, &host.zone).map_err(|error| Refusal::Request { sentence: error.to_string() })?;
    let stack = StackName::of(&domain);
    let checked = checkout.read(&request.recipe).await.map_err(refused)?;
    let at = match &request.source {
        Source::Catalogue { at } => at.clone().or_else(|| recipe::newest(&checked.tags)),
        Source::Folder { .. } => None,
    };
    // A clone that was fetched before is tested at a commit of its history, without its uncommitted changes.
    let dirty = dirty && at.is_none();
    let commit = match at {
        Some(at) => find(checkout, request, &at, &checked.tags).await?,
        None => checked.head.clone(),
    };
    let tree = checkout.tree(&request.recipe, &commit).await.map_err(refused)?;
    let tree = recipe::with_pack(tree, pack);
    let resolved = recipe::resolved_with(&tree, &domain, &stack, pack, run).map_err(Refusal::Facts)?;
    let version = recipe::tagged(&checked.tags, &commit);
    let head = Head { recipe: request.recipe.clone(), version, commit, dirty, domain, stack };
    let mut refusals: Vec<Refusal> = permitted(clone, &head, &tree, &resolved, false).err().into_iter().collect();
    let (against, left_out) = match choose(clone, &checked, &head, &resolved).await {
        Ok(choice) => choice,
        Err(refusal) => {
            refusals.push(refusal);
            (Base::none("it is refused"), Vec::new())
        }
    };
    let upgrades = request.tiers.contains(&Tier::Upgrade);
    let against_files = match read_base(clone, &checked, &head, &against).await {
        Ok(files) => files,
        Err(refusal) => {
            // Without an upgrade base is not deployed, and lint says itself what it cannot compare.
            refusals.extend(Some(refusal).filter(|_| upgrades));
            None
        }
    };
    let faults = release_faults(&checked.tags, &head, &tree, &resolved, &against, against_files.as_ref());
    let base = if upgrades { against.clone() } else { Base::none("no upgrade was asked for") };
    let base_files = against_files.filter(|_| upgrades);
    Ok(RecipeFacts { head, tree, resolved, against, base, base_files, left_out, faults, refusals })
}

/// The commit of a tag, branch or commit; for an unknown one the refusal names the newest release.
async fn find(checkout: &dyn Checkout, request: &Request, at: &str, tags: &[Tag]) -> Result<Commit, Refusal> {
    let found = checkout.find(&request.recipe, at).await;
    found.map_err(|error| match error {
        CheckoutError::NoSuchRef { .. } => {
            let releases = match recipe::newest(tags) {
                Some(newest) => format!("its newest release is {newest}"),
                None => "it has no release".to_owned(),
            };
            Refusal::Request { sentence: format!("{error}; {releases}") }
        }
        other => refused(other),
    })
}

/// The refusal of a checkout. A recipe that cannot be read is refused like one that policy does not allow.
pub(super) fn refused(error: CheckoutError) -> Refusal {
    match error {
        CheckoutError::Unreadable { .. } => Refusal::Request { sentence: error.to_string() },
        other => Refusal::Facts(other.into()),
    }
}

/// Asks policy on the files of a new app.
fn permitted(clone: RecipeClone<'_>, head: &Head, tree: &Tree, resolved: &Resolved, repaired: bool) -> Result<(), Refusal> {
    let RunInput { request, host, pack, .. } = clone.input;
    let env = recipe::new_app_env(tree, &head.domain, pack, clone.run, repaired).map_err(Refusal::Facts)?;
    recipe::permitted(&Deployable { resolved, tree, env: &env, domain: &head.domain }, &request.recipe, host)
}

/// What head is compared with, and upgraded from where the request has an upgrade.
async fn choose(
    clone: RecipeClone<'_>,
    checked: &Checked,
    head: &Head,
    resolved: &Resolved,
) -> Result<(Base, Vec<LeftOut>), Refusal> {
    let RecipeClone { checkout, input: RunInput { request, pack, .. }, .. } = clone;
    let requested = request.base.as_ref().map(|name| (name, Chooser::Request));
    let chosen = match requested.or(pack.settings.base.as_ref().map(|name| (name, Chooser::Pack))) {
        Some((name, by)) => Some(Chosen { name: name.clone(), commit: find(checkout, request, name, &checked.tags).await?, by }),
        None => None,
    };
    let tip = checked.branch.as_ref().map(|branch| branch.commit.clone());
    let others: Vec<Commit> = chosen.iter().map(|chosen| chosen.commit.clone()).chain(tip).collect();
    let lineage = checkout.lineage(&request.recipe, &head.commit, &others).await.map_err(refused)?;
    let known = BaseFacts {
        head: &head.commit,
        head_version: recipe::version(resolved),
        tags: &checked.tags,
        stray_tags: &checked.stray_tags,
        lineage: &lineage,
        branch: checked.branch.as_ref(),
        chosen: chosen.as_ref(),
    };
    let choice = upgrade_base::base(&known).map_err(|error| Refusal::Request { sentence: error.to_string() })?;
    Ok((choice.base, choice.left_out))
}

/// Reads the files of base, if there is one. A base whose files cannot be resolved as one app, or that policy refuses, refuses
/// the run.
async fn read_base(clone: RecipeClone<'_>, checked: &Checked, head: &Head, base: &Base) -> Result<Option<BaseFiles>, Refusal> {
    let RecipeClone { checkout, input: RunInput { request, pack, .. }, run, .. } = clone;
    let Some(commit) = base.commit() else { return Ok(None) };
    let tree = checkout.tree(&request.recipe, commit).await.map_err(|error| match error {
        CheckoutError::Unreadable { sentence } => {
            Refusal::Request { sentence: format!("the base {base} cannot be read: {sentence}; name another one with --base") }
        }
        other => Refusal::Facts(other.into()),
    })?;
    let repair = recipe::repair(pack, base).map(str::to_owned);
    let tree = recipe::with_repair(recipe::with_pack(tree, pack), repair.as_deref());
    let read = recipe::resolved_repaired(&tree, &head.domain, &head.stack, pack, run, repair.is_some());
    let resolved = read.map_err(|failure| {
        let message = format!("the base {base} cannot be deployed: {}; name another one with --base", failure.message);
        Refusal::Facts(Failure { message, ..failure }.owned_by(Owner::Dependency))
    })?;
    permitted(clone, head, &tree, &resolved, repair.is_some())?;
    let pinned = base.version().is_some() && upgrade_base::can_be_pinned(&checked.tags);
    Ok(Some(BaseFiles { tree, resolved, pinned, repair }))
}

/// The faults of head as a release, compared with those of base.
fn release_faults(
    tags: &[Tag],
    head: &Head,
    tree: &Tree,
    resolved: &Resolved,
    base: &Base,
    base_files: Option<&BaseFiles>,
) -> ReleaseFaults {
    let paths: BTreeSet<&str> = tree.paths().collect();
    let own = ReleaseFacts { commit: &head.commit, resolved, paths: &paths, tags, replaces: base.version() };
    let before = base_files.zip(base.commit()).map(|(files, commit)| {
        let paths: BTreeSet<&str> = files.tree.paths().collect();
        faults(&ReleaseFacts { commit, resolved: &files.resolved, paths: &paths, tags, replaces: None })
    });
    ReleaseFaults::of(faults(&own), head.version.is_some(), before.as_deref())
}
