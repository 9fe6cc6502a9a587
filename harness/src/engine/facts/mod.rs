//! The facts that a plan is made from, gathered by reads of the host and one clone of the recipe.
//!
//! Nothing is asked of a host that is not fit, and the first thing that is made, the run's `ABRA_DIR`, is claimed before.

mod admission;
pub mod attached;
mod executables;
pub mod readings;
mod recipe_checkout;
mod recipe_facts;

use std::{cell::OnceCell, collections::BTreeMap, path::PathBuf, sync::Arc};

use recipe_facts::refused;
pub use recipe_facts::{RecipeClone, RecipeFacts, read_recipe};

use crate::{
    engine::log::Log,
    model::{
        host::Host,
        names::{Domain, StackName, SwarmId},
        outcome::{Cause, Failure, Subject},
        pack::Pack,
        refusal::Refusal,
        request::Request,
        text::with_causes,
    },
    ports::{MachineError, Ports, RunFolder},
    pure::{
        host::{
            claim::{Claim, Claimed},
            inventory::Inventory,
            preflight::{Check, HostReadings, Needs, preflight, unfit},
        },
        recipe::upgrade_base::{Base, LeftOut, LeftOutReason},
        run::{
            event::{Kind, Note},
            facts::{BaseFiles, Facts, recipe},
        },
    },
};

/// The host before the run. A run is cleaned up and compared by it, also one that is refused or cut off while it gathers its
/// facts.
#[derive(Debug, Default)]
pub struct HostBaseline {
    /// The Swarm, once it has answered.
    pub swarm: OnceCell<SwarmId>,
    /// The host's objects and files, once they have been read.
    pub before: OnceCell<HostBefore>,
}

/// What of the host a run must not change, as it was before the run.
#[derive(Debug, Clone)]
pub struct HostBefore {
    /// The Swarm's objects.
    pub inventory: Inventory,
    /// The `.env` files of the operator's own apps.
    pub env_files: EnvFiles,
}

/// The `.env` files of the operator's own apps, each with its digest.
pub type EnvFiles = Result<BTreeMap<PathBuf, String>, Arc<MachineError>>;

impl HostBaseline {
    /// Keeps this inventory, and reads what else a run must not change.
    fn keep(&self, inventory: Inventory, ports: &Ports) {
        self.before.get_or_init(|| HostBefore { inventory, env_files: ports.machine.env_files().map_err(Arc::new) });
    }
}

/// The input of a run from outside.
#[derive(Debug, Clone, Copy)]
pub struct RunInput<'a> {
    /// The request.
    pub request: &'a Request,
    /// The host.
    pub host: &'a Host,
    /// The recipe's pack.
    pub pack: &'a Pack,
}

/// What the facts are gathered through.
#[derive(Clone, Copy)]
pub struct FactSources<'a> {
    /// The input of the run.
    pub input: RunInput<'a>,
    /// The outside.
    pub ports: &'a Ports,
    /// The log.
    pub log: &'a Log,
    /// The run's folder.
    pub folder: &'a dyn RunFolder,
    /// The host before the run, which stays known when the rest fails or is cut off.
    pub baseline: &'a HostBaseline,
}

/// Gathers the facts of a run.
pub async fn gather(sources: FactSources<'_>) -> Result<Facts, Refusal> {
    let FactSources { input, ports, log, folder, baseline } = sources;
    let RunInput { request, host, pack, .. } = input;
    let mut readings = readings::host(host, ports, folder.root()).await;
    if let Some(Ok(engine)) = &readings.engine {
        log.note(Note::Tool { tool: "engine".into(), version: engine.version.clone() });
    }
    let domain = Domain::of(&request.recipe, folder.run(), &host.zone)
        .map_err(|error| Refusal::Request { sentence: error.to_string() })?;
    let stack = StackName::of(&domain);
    let engine = fit_engine(sources, &readings, &stack)?;
    if let Some(Ok(inventory)) = readings.inventory.clone() {
        baseline.keep(inventory, ports);
    }
    let claim = claim_abra_dir(log, folder, engine)?;

    let (abra, dirty) = recipe_checkout::fetch(sources, &claim).await?;
    readings.abra = Some(Ok(abra));
    let clone = RecipeClone { checkout: &*ports.checkout, input, run: folder.run(), dirty };
    let mut found = read_recipe(clone).await?;
    if !found.refusals.is_empty() {
        return Err(found.refusals.remove(0));
    }
    let RecipeFacts { head, tree, resolved, against, base, base_files, left_out, faults, .. } = found;
    log.note(Note::Files { subject: Subject::Head, digest: tree.digest() });
    if let Some(files) = &base_files {
        log.note(Note::Files { subject: Subject::Base, digest: files.tree.digest() });
    }
    // Executables are found in the checkout, and abra takes its `.env.sample` from there.
    ports.checkout.go(&claim, &request.recipe, head.commit.as_str()).await.map_err(refused)?;
    warn_of_stale_repair(log, pack, &base, base_files.as_ref());
    warn_of_tags(log, &left_out);

    let from = base_files.as_ref().map(|files| &files.resolved);
    let needs = recipe::needs_of_run(&resolved, from, &pack.settings.resources);
    admission::wait_for_room(sources, &needs, &mut readings).await;
    readings.registry = Some(readings::images(ports, &needs.images, request.offline.is_some()).await);
    let checks = preflight(&readings, &needs, &host.limits, Some(&head.stack));
    if unfit(&checks).is_some() {
        return Err(unfit_host(log, checks));
    }
    log.note(Note::Preflight { checks });
    let pack = executables::add_to_pack(input, ports).await?;
    Ok(Facts { head, tree, resolved, base, base_files, against, left_out, faults, needs, pack })
}

/// The Swarm of a host that is fit for a run at all. Without it nothing is asked of the host, and nothing is claimed on it.
fn fit_engine<'a>(sources: FactSources<'a>, readings: &HostReadings, stack: &StackName) -> Result<&'a SwarmId, Refusal> {
    let FactSources { input, log, baseline, .. } = sources;
    let checks = preflight(readings, &Needs::default(), &input.host.limits, Some(stack));
    match readings.engine.as_ref().and_then(|engine| engine.as_ref().ok()).and_then(|engine| engine.swarm.clone()) {
        Some(engine) if unfit(&checks).is_none() => Ok(baseline.swarm.get_or_init(|| engine)),
        _ => Err(unfit_host(log, checks)),
    }
}

fn claim_abra_dir(log: &Log, folder: &dyn RunFolder, engine: &SwarmId) -> Result<Claim, Refusal> {
    log.claim(Claimed::Dir { path: folder.abra_dir() }, engine)
        .map_err(|error| Refusal::Facts(Failure::new(Cause::Preflight { check: "journal".into() }, with_causes(&error))))
}

fn warn_of_stale_repair(log: &Log, pack: &Pack, base: &Base, base_files: Option<&BaseFiles>) {
    let stale = pack.settings.repair.as_ref().filter(|_| base_files.is_some_and(|files| files.repair.is_none()));
    if let Some(stale) = stale {
        let text =
            format!("the pack repairs {}, and the base is {base}: the repair is not used, and may be stale", stale.version);
        log.record(Kind::Warned { text });
    }
}

/// Warns of tags that name the same place among the releases: an anomaly of the recipe.
fn warn_of_tags(log: &Log, left_out: &[LeftOut]) {
    for LeftOut { tag, reason } in left_out.iter().filter(|left| left.reason == LeftOutReason::DuplicateVersion) {
        log.record(Kind::Warned { text: format!("{tag} {reason}") });
    }
}

/// The refusal of a host that is not fit.
fn unfit_host(log: &Log, checks: Vec<Check>) -> Refusal {
    let worst = unfit(&checks).map(Failure::from);
    log.note(Note::Preflight { checks });
    Refusal::Facts(worst.unwrap_or_else(|| Failure::new(Cause::Engine, "the engine does not say which Swarm it manages")))
}
