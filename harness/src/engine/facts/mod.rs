//! What has to be known before there can be a plan, gathered by reading, and by one clone of the recipe.

pub mod attached;
pub mod readings;

use crate::pure::run::facts::{Before, Facts, recipe};
use std::{cell::OnceCell, collections::BTreeMap, path::PathBuf, time::Duration};

use crate::pure::run::facts::recipe::{newest, tagged};
use crate::{
    adapters::folder::Folder,
    engine::log::Log,
    model::{
        git::Tag,
        head::Head,
        host::Host,
        names::{Commit, Domain, EngineId, RunId, StackName},
        outcome::{Cause, Failure, Owner, Tier},
        pack::{Origin, Pack},
        refusal::Refusal,
        request::{Request, Source},
        time::format_duration,
    },
    ports::{AbraError, Call, Checked, Checkout, CheckoutError, Ports},
    pure::{
        host::{
            claim::{Claim, Claimed},
            inventory::Inventory,
            preflight::{Check, Needs, Readings, preflight, unfit, waits},
        },
        recipe::{
            compose::Resolved,
            executables,
            upgrade_base::{self, Base, Chooser, Chosen, Green, Known},
        },
        run::event::{Kind, Note},
    },
};

/// How long abra may take to clone a recipe.
const FETCH_PATIENCE: Duration = Duration::from_secs(300);

/// The Swarm as it was before the run. It is what a run is cleaned up and compared by, also one that gets no further than its
/// facts.
#[derive(Debug, Default)]
pub struct Found {
    /// The Swarm, once it has answered.
    pub engine: OnceCell<EngineId>,
    /// What there was before the run, once it has been read.
    pub before: OnceCell<Earlier>,
}

/// What there was before the run that it must not change.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// The Swarm's objects.
    pub inventory: Inventory,
    /// The `.env` files of the operator's own apps, or why they could not be read.
    pub env_files: Result<BTreeMap<PathBuf, String>, String>,
}

impl Found {
    /// Keeps this inventory, and reads what else a run must not change.
    fn keep(&self, inventory: Inventory, ports: &Ports) {
        self.before.get_or_init(|| Earlier { inventory, env_files: ports.machine.env_files() });
    }
}

/// What a run is given from outside.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// Where.
    pub host: &'a Host,
    /// The recipe's pack.
    pub pack: &'a Pack,
    /// The last green run of the recipe on this host.
    pub history: Option<&'a Green>,
}

/// Gathers the facts of a run: the head, and on the way what was there before, which is kept when the rest fails or is cut off.
/// The recipe is cloned into the run's own `ABRA_DIR`, which is claimed first.
pub async fn gather(given: Given<'_>, ports: &Ports, log: &Log, folder: &Folder, found: &Found) -> Result<Facts, Refusal> {
    let Given { request, host, pack, .. } = given;
    let mut readings = readings::host(host, ports, folder.root()).await;
    if let Some(Ok(engine)) = &readings.engine {
        log.note(Note::Tool { tool: "engine".into(), version: engine.version.clone() });
    }
    let domain = Domain::of(&request.recipe, folder.run(), &host.zone)
        .map_err(|error| Refusal::Request { sentence: error.to_string() })?;
    let stack = StackName::of(&domain);
    // Nothing is asked of a host that is not fit at all, and nothing is claimed on it.
    let first = preflight(&readings, &Needs::default(), &host.limits, Some(&stack));
    let engine = match readings.engine.as_ref().and_then(|engine| engine.as_ref().ok()).and_then(|engine| engine.swarm.clone()) {
        Some(engine) if unfit(&first).is_none() => found.engine.get_or_init(|| engine),
        _ => return Err(refused(log, first)),
    };
    if let Some(Ok(inventory)) = readings.inventory.clone() {
        found.keep(inventory, ports);
    }

    let claim = log
        .claim(Claimed::Dir { path: folder.abra_dir() }, engine)
        .map_err(|error| Refusal::Facts(Failure::new(Cause::Preflight { check: "journal".into() }, error.to_string())))?;
    // An abra that cannot say its version is not waited for with anything else, and whatever else fails is its fault.
    let checked = async { Ok(fetched(request, ports, &claim).await) };
    let (version, checked) = tokio::try_join!(version(ports, log), checked)?;
    readings.abra = Some(Ok(version));
    let (checked, dirty) = checked?;
    let at = match &request.source {
        Source::Catalogue { at } => at.clone().or_else(|| newest(&checked.tags)),
        Source::Folder { .. } => None,
    };
    // A clone that was fetched before is tasted at a commit of its history; what lies about in it does not count then.
    let dirty = dirty && at.is_none();
    let commit = match at {
        Some(at) => {
            let gone = ports.checkout.go(&claim, &request.recipe, &at).await;
            gone.map_err(|error| no_such(error, &checked.tags))?
        }
        None => checked.head.clone(),
    };
    let version = tagged(&checked.tags, &commit);
    let tree = ports.checkout.tree(&request.recipe, &commit).await.map_err(|error| Refusal::Facts(error.into()))?;
    let tree = recipe::with_pack(tree, pack);
    let resolved = recipe::resolved_with(&tree, &domain, &stack, pack, folder.run()).map_err(Refusal::Facts)?;
    recipe::permitted(&resolved, &tree, &request.recipe, host)?;
    let under_test = UnderTest { commit: &commit, domain: &domain, run: folder.run(), resolved: &resolved };
    let Based { against, base, before } = based(&*ports.checkout, given, &checked, under_test).await?;
    let from = before.as_ref().map(|before| &before.resolved);
    let needs = recipe::needs_of_run(&resolved, from, &pack.settings.resources);
    let stale = pack.settings.repair.as_ref().filter(|_| before.as_ref().is_some_and(|before| before.repair.is_none()));
    if let Some(stale) = stale {
        let text =
            format!("the pack repairs {}, and the base is {base}: the repair is not used, and may be stale", stale.version);
        log.record(Kind::Warned { text });
    }
    for text in upgrade_base::doubles(&checked.tags) {
        log.record(Kind::Warned { text });
    }
    admitted(&needs, host, ports, log, folder, &mut readings).await;
    readings.registry = Some(readings::images(ports, &needs.images, request.offline.is_some()).await);
    let checks = preflight(&readings, &needs, &host.limits, Some(&stack));
    if unfit(&checks).is_some() {
        return Err(refused(log, checks));
    }
    log.note(Note::Preflight { checks });
    let head = Head { recipe: request.recipe.clone(), version, commit, dirty, domain, stack };
    let pack = with_executables(given, ports).await?;
    Ok(Facts { head, tree, resolved, base, before, against, needs, pack })
}

/// The pack with the tests beside it: executables of the recipe's repository, as head has them, and of the folder that was named.
pub async fn with_executables(given: Given<'_>, ports: &Ports) -> Result<Pack, Refusal> {
    let Given { request, host, pack, .. } = given;
    let refused =
        (!executables::trusted(host, &request.recipe, request.authoring.trusted)).then(|| executables::refusal(&request.recipe));
    let mut pack = pack.clone();
    // Whoever names a folder on the command line trusts what is in it.
    for (origin, refused) in [(Origin::Repository, refused.as_deref()), (Origin::Folder, None)] {
        let files = ports.executables.find(&request.recipe, origin).await.map_err(|error| Refusal::Facts(error.into()))?;
        let taken = pack.tests.iter().map(|test| test.name.clone()).collect();
        let found = executables::discover(&files, origin, refused, &taken);
        pack.tests.extend(found.tests);
        pack.warnings.extend(found.warnings);
    }
    Ok(pack)
}

/// The pause between two looks at whether there is room by now.
const QUEUE_PAUSE: Duration = Duration::from_millis(500);

/// Waits until the host has room for these needs beside the other runs of this machine, and takes it.
async fn admitted(needs: &Needs, host: &Host, ports: &Ports, log: &Log, folder: &Folder, readings: &mut Readings) {
    let began = ports.clock.mono();
    let mut queued = Vec::new();
    loop {
        let turn = match ports.neighbours.turn().await {
            Ok(turn) => Some(turn),
            // The preflight still sees what others have taken, only not what they will take.
            Err(error) => {
                log.record(Kind::Warned { text: format!("other runs of this machine cannot be seen: {error}") });
                None
            }
        };
        let neighbours = turn.as_ref().map(|turn| turn.living()).unwrap_or_default();
        // What was read before may be another run's by now.
        if !neighbours.is_empty() {
            readings::renew(readings, ports, folder.root()).await;
        }
        let waiting_for = waits(needs, &host.limits, readings, &neighbours);
        if waiting_for.is_empty() {
            log.record(Kind::Admitted { needs: needs.clone() });
            if !queued.is_empty() {
                let (waited, last) = (format_duration(ports.clock.mono().since(began)), queued.join("; "));
                log.note(Note::Remark { text: format!("waited {waited} for other runs of this machine, at last for {last}") });
            }
            return;
        }
        drop(turn);
        if queued != waiting_for {
            log.record(Kind::Queued { waiting_for: waiting_for.clone() });
            queued = waiting_for;
        }
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
}

/// What is under test, as far as a base is chosen by it.
#[derive(Debug, Clone, Copy)]
pub struct UnderTest<'a> {
    /// The commit.
    pub commit: &'a Commit,
    /// The app's domain.
    pub domain: &'a Domain,
    /// The run.
    pub run: &'a RunId,
    /// What its files come to.
    pub resolved: &'a Resolved,
}

/// What head is compared with, and what it is upgraded from.
#[derive(Debug, Clone)]
pub struct Based {
    /// What lint compares head with: base, also where no upgrade was asked for.
    pub against: Base,
    /// What the app is upgraded from.
    pub base: Base,
    /// The files of that; absent without a base.
    pub before: Option<Before>,
}

impl Based {
    /// No base, and why there is none.
    pub fn nothing(request: &Request, why: &str) -> Self {
        let against = Base::None { why: why.into() };
        Self { base: upgraded_from(request, &against), against, before: None }
    }
}

/// What head is compared with, what it is upgraded from, and the files of that.
pub async fn based(checkout: &dyn Checkout, given: Given<'_>, checked: &Checked, head: UnderTest<'_>) -> Result<Based, Refusal> {
    let against = choose(checkout, given, checked, head).await?;
    let base = upgraded_from(given.request, &against);
    let before = before(checkout, given, checked, head, &base).await?;
    Ok(Based { against, base, before })
}

/// What the app is upgraded from: nothing, when no upgrade was asked for.
fn upgraded_from(request: &Request, against: &Base) -> Base {
    match request.tiers.contains(&Tier::Upgrade) {
        true => against.clone(),
        false => Base::None { why: "no upgrade was asked for".into() },
    }
}

/// What head is compared with, and upgraded from where that was asked for.
async fn choose(checkout: &dyn Checkout, given: Given<'_>, checked: &Checked, head: UnderTest<'_>) -> Result<Base, Refusal> {
    let Given { request, pack, history, .. } = given;
    let by_hand = request.base.as_ref().map(|name| (name, Chooser::Request));
    let chosen = match by_hand.or(pack.settings.base.as_ref().map(|name| (name, Chooser::Pack))) {
        Some((name, by)) => {
            let found = checkout.find(&request.recipe, name).await;
            let commit = found.map_err(|error| no_such(error, &checked.tags))?;
            // What a pack chose for all heads is no base for itself; what somebody chose for this run is their mistake.
            (by == Chooser::Request || commit != *head.commit).then(|| Chosen { name: name.clone(), commit, by })
        }
        None => None,
    };
    let known = Known {
        head: head.commit,
        head_version: recipe::version(head.resolved),
        tags: &checked.tags,
        branch: checked.branch.as_ref(),
        green: history,
        chosen: chosen.as_ref(),
    };
    upgrade_base::base(&known).map_err(|sentence| Refusal::Request { sentence })
}

/// The files of base, if there is one. Ones that cannot be read as one app, or that policy refuses, keep the run from its upgrade.
async fn before(
    checkout: &dyn Checkout,
    given: Given<'_>,
    checked: &Checked,
    head: UnderTest<'_>,
    base: &Base,
) -> Result<Option<Before>, Refusal> {
    let Given { request, host, pack, .. } = given;
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
    Ok(Some(Before { tree, resolved, pinned, repair }))
}

/// The refusal of a host that is not fit.
fn refused(log: &Log, checks: Vec<Check>) -> Refusal {
    let worst = unfit(&checks).map(Failure::from);
    log.note(Note::Preflight { checks });
    Refusal::Facts(worst.unwrap_or_else(|| Failure::new(Cause::Engine, "the engine does not say which Swarm it manages")))
}

async fn version(ports: &Ports, log: &Log) -> Result<String, Refusal> {
    let version = readings::abra_version(ports).await.map_err(|(error, _)| unfit_abra(error))?;
    log.note(Note::Tool { tool: "abra".into(), version: version.clone() });
    Ok(version)
}

async fn fetched(request: &Request, ports: &Ports, claim: &Claim) -> Result<(Checked, bool), Refusal> {
    let facts = |failure: Failure| Refusal::Facts(failure);
    let dirty = match (&request.source, &request.offline) {
        (Source::Catalogue { .. }, Some(fetched)) => {
            let folder = fetched.join(request.recipe.as_str());
            ports.checkout.adopt(claim, &request.recipe, &folder).await.map_err(|error| facts(error.into()))?
        }
        (Source::Catalogue { .. }, None) => {
            let fetch = Call::Fetch { recipe: request.recipe.clone() };
            ports.abra.call(&fetch, Some(claim), FETCH_PATIENCE).await.map_err(unfit_abra)?;
            false
        }
        (Source::Folder { path }, _) => {
            ports.checkout.adopt(claim, &request.recipe, path).await.map_err(|error| facts(error.into()))?
        }
    };
    let checked = ports.checkout.read(&request.recipe).await.map_err(|error| facts(error.into()))?;
    Ok((checked, dirty))
}

/// An abra that cannot be used, with what to do about it.
fn unfit_abra(error: AbraError) -> Refusal {
    let remedy = readings::abra_remedy(&error);
    let failure = Failure::from(error);
    let message = if remedy.is_empty() { failure.message } else { format!("{}; {remedy}", failure.message) };
    Refusal::Facts(Failure { message, ..failure })
}

fn no_such(error: CheckoutError, tags: &[Tag]) -> Refusal {
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
