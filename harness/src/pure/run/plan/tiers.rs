//! Which steps a run takes: tier after tier on one deployment, what runs beside them, and what is done whatever happens.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{
        host::Limits,
        outcome::{SkipReason, Subject, Tier},
        pack::{Pack, TestName},
        request::{DEFAULT_DEADLINE, Request},
        rung::Rung,
        time::{format_duration, millis},
    },
    pure::{
        recipe::{backup::Backed, canary::Moment, compose::Resolved, post_deploy::Post, upgrade_base::Base},
        run::facts::{Facts, recipe},
    },
};
use {
    super::{
        Class, OnFail, Plan, Planned, Step, StepId,
        beyond::{self, App},
    },
    crate::model::refusal::Refusal,
};

/// How long abra may take for one command that only reads or writes files.
pub(super) const ABRA_BUDGET: Duration = Duration::from_secs(60);
/// How long lint of one commit may take.
const LINT_BUDGET: Duration = Duration::from_secs(60);
/// How long a stack may take to settle before the step gives up. The judge fails it earlier by the services' own numbers.
const SETTLE_BUDGET: Duration = Duration::from_secs(1200);
/// How long an app may take to answer once it has settled, unless its timeout label says otherwise.
pub(super) const HTTP_BUDGET: Duration = Duration::from_secs(300);
/// How long the backup service may take for a snapshot or its restore, and the services until they stand again.
pub(super) const BACKUP_BUDGET: Duration = Duration::from_secs(900);
/// How long one function of a pack may take.
pub(super) const CUSTOM_BUDGET: Duration = Duration::from_secs(120);
/// How long a picture of the app may take.
const SCREENSHOT_BUDGET: Duration = Duration::from_secs(60);
/// How long removing everything may take.
pub(super) const CLEANUP_BUDGET: Duration = Duration::from_secs(120);

/// The plan for a head: the tiers that were asked for on one deployment, then removing everything again. Refused where the recipe's own health checks need longer
/// than they are given.
pub fn plan(request: &Request, facts: &Facts, limits: &Limits) -> Result<Plan, Refusal> {
    let request = &request.knowing(&facts.pack);
    let backed = Backed::of(&facts.resolved);
    let mut skips = skipped(request, facts, &backed);
    let upgrades = !skips.contains_key(&Tier::Upgrade);
    let runs = |tier| !skips.contains_key(&tier);
    let extent = request.extent;
    let (canaries, disaster) = (!extent.no_canaries, extent.disaster && runs(Tier::Restore));
    let mut steps = install_tier(request, facts, limits, upgrades)?;
    if canaries && (upgrades || runs(Tier::Restore) || extent.thorough) {
        steps.push(planned("seed", Step::Seed, INSTALLED, Class::Beside, ABRA_BUDGET, OnFail::Continue));
    }
    if upgrades {
        let before = if canaries { &["seed"] } else { INSTALLED };
        steps.extend(upgrade_tier(request, facts, limits, before)?);
    }
    if runs(Tier::Backup) {
        let before = last(&steps);
        steps.push(planned("backup", Step::Backup, &[&before], Class::Tier(Tier::Backup), BACKUP_BUDGET, OnFail::Continue));
    }
    if runs(Tier::Restore) {
        let before = last(&steps);
        steps.extend(restore_tier(&before, canaries));
    }
    let before = last(&steps);
    let always = Class::Always;
    let backs_up = runs(Tier::Backup);
    steps.extend(lint(facts));
    steps.push(planned("undeploy", Step::Undeploy, &["verify-compose", LINT, &before], always, ABRA_BUDGET, OnFail::Continue));
    let repaired = upgrades && facts.before.as_ref().is_some_and(|before| before.repair.is_some());
    let wires = facts.pack.wires() || repaired;
    with_pack(request, &facts.pack, wires, &mut steps, &mut skips);
    put_between(
        &mut steps,
        planned("screenshot", Step::Screenshot, &[], Class::Beside, SCREENSHOT_BUDGET, OnFail::Continue),
        "undeploy",
    );
    let app = App {
        settle: settle_budget(request, &facts.resolved, limits)?,
        canaries,
        wires: facts.pack.wires(),
        posts: recipe::posts(&facts.tree, &facts.pack, Post::Deploy),
    };
    let thorough = if extent.thorough { beyond::thorough(app) } else { Vec::new() };
    let disaster = if disaster { beyond::disaster(app) } else { Vec::new() };
    // The snapshot is kept as long as something is restored from it.
    let before = disaster.last().map_or(before, |planned| planned.id.0.clone());
    for step in thorough.into_iter().chain(disaster) {
        put_between(&mut steps, step, "undeploy");
    }
    if let Some(keep) = request.authoring.keep {
        put_between(&mut steps, keeping(keep), "undeploy");
    }
    let before = if request.authoring.keep.is_some() { KEEP.to_owned() } else { before };
    if backs_up {
        let at = steps.len() - 1;
        steps.insert(at, planned("forget-snapshot", Step::ForgetSnapshot, &[&before], always, ABRA_BUDGET, OnFail::Continue));
    }
    steps.extend(clean_up(if backs_up { &["undeploy", "forget-snapshot"] } else { &["undeploy"] }));
    let (head, base, against) = (Some(facts.head.clone()), Some(facts.base.clone()), Some(facts.against.clone()));
    let covered = facts.resolved.volumes.keys().filter(|_| backed.enabled());
    let coverage = covered.map(|volume| (volume.clone(), backed.coverage(volume))).collect();
    Ok(Plan {
        head,
        base,
        against,
        refusal: None,
        steps,
        skips,
        coverage,
        needs: facts.needs.clone(),
        pack: Box::new(facts.pack.clone()),
    })
}

/// The tiers that are not run: nobody asked for them, the pack says that they do not apply, or the recipe has no such thing.
fn skipped(request: &Request, facts: &Facts, backed: &Backed) -> BTreeMap<Tier, SkipReason> {
    let mut skips: BTreeMap<Tier, SkipReason> =
        Tier::ALL.into_iter().filter(|tier| !request.tiers.contains(tier)).map(|tier| (tier, SkipReason::NotAsked)).collect();
    for (rung, tiers) in [(Rung::Upgrade, &[Tier::Upgrade][..]), (Rung::BackupRestore, &[Tier::Backup, Tier::Restore])] {
        let Some(because) = facts.pack.not_applicable(rung.name()) else { continue };
        for tier in tiers {
            skips.entry(*tier).or_insert_with(|| SkipReason::NotApplicable { because: because.to_owned() });
        }
    }
    if let Base::None { .. } = facts.base {
        skips.entry(Tier::Upgrade).or_insert_with(|| SkipReason::Structural { lacks: "an older version".into() });
    }
    if !backed.enabled() {
        for tier in [Tier::Backup, Tier::Restore] {
            skips.entry(tier).or_insert_with(|| SkipReason::Structural { lacks: "a label backupbot.backup".into() });
        }
    }
    skips
}

/// What has to have ended before something is done with the app that was installed first.
const INSTALLED: &[&str] = &["stable", "verify-compose"];

/// The name of the step that lints head, and of the one that lints what head is compared with.
const LINT: &str = "lint";
const LINT_BASE: &str = "lint-base";

/// Lint of head, after that of what it is compared with, which says what head introduced.
fn lint(facts: &Facts) -> Vec<Planned> {
    let step =
        |id, subject, after: &[&str]| planned(id, Step::Lint { subject }, after, Class::Beside, LINT_BUDGET, OnFail::Continue);
    match facts.against.commit() {
        Some(_) => vec![step(LINT_BASE, Subject::Base, &[]), step(LINT, Subject::Head, &[LINT_BASE])],
        None => vec![step(LINT, Subject::Head, &[])],
    }
}

/// The install of base where there is an upgrade to come, else of head.
fn install_tier(request: &Request, facts: &Facts, limits: &Limits, upgrades: bool) -> Result<Vec<Planned>, Refusal> {
    let install = Class::Tier(Tier::Install);
    let (subject, resolved) = match &facts.before {
        Some(before) if upgrades => (Subject::Base, &before.resolved),
        Some(_) | None => (Subject::Head, &facts.resolved),
    };
    let settle = settle_budget(request, resolved, limits)?;
    // abra refuses to deploy a release by its version that breaks a rule of severity error; then it is deployed as it is checked out.
    let before_deploy: &[&str] = match subject {
        Subject::Base => &["provision", LINT_BASE],
        Subject::Head | Subject::Mixed => &["provision"],
    };
    let tree = match (&facts.before, subject) {
        (Some(before), Subject::Base) => &before.tree,
        (Some(_) | None, _) => &facts.tree,
    };
    let post = recipe::posts(tree, &facts.pack, Post::Deploy);
    let mut steps = vec![
        planned("provision", Step::Provision, &[], install, ABRA_BUDGET, OnFail::EndTiers),
        planned("deploy", Step::Deploy { subject }, before_deploy, install, settle, OnFail::EndTiers),
        planned("verify-compose", Step::VerifyCompose, &["deploy"], Class::Beside, ABRA_BUDGET, OnFail::Continue),
        planned("http", Step::Http, &["deploy"], install, HTTP_BUDGET, OnFail::Continue),
        planned("stable", Step::Stable, &["http"], install, ABRA_BUDGET, OnFail::Continue),
    ];
    if post {
        let step = Step::PostDeploy { after: Post::Deploy };
        put_between(&mut steps, planned("post-deploy", step, &[], install, CUSTOM_BUDGET, OnFail::Continue), "http");
    }
    Ok(steps)
}

/// The upgrade in place. A tier that failed bars the rest of itself only: what comes later is done on what runs then, and says so.
fn upgrade_tier(request: &Request, facts: &Facts, limits: &Limits, before: &[&str]) -> Result<Vec<Planned>, Refusal> {
    let tier = Class::Tier(Tier::Upgrade);
    let settle = settle_budget(request, &facts.resolved, limits)?;
    let answer = "http-upgrade";
    let trees = facts.before.iter().map(|before| &before.tree).chain([&facts.tree]);
    let post = trees.into_iter().any(|tree| recipe::posts(tree, &facts.pack, Post::Upgrade));
    let mut steps = vec![
        planned("migrate", Step::Migrate, before, tier, ABRA_BUDGET, OnFail::SkipTier),
        planned("upgrade", Step::Upgrade, &["migrate"], tier, settle, OnFail::SkipTier),
        planned("verify-head", Step::VerifyHead, &["upgrade"], tier, ABRA_BUDGET, OnFail::Continue),
        planned(answer, Step::Http, &["verify-head"], tier, HTTP_BUDGET, OnFail::Continue),
        planned("check-upgrade", Step::Check { moment: Moment::AfterUpgrade }, &[answer], tier, ABRA_BUDGET, OnFail::Continue),
        planned("stable-upgrade", Step::Stable, &["check-upgrade"], tier, ABRA_BUDGET, OnFail::Continue),
    ];
    if post {
        let step = Step::PostDeploy { after: Post::Upgrade };
        put_between(&mut steps, planned("post-upgrade", step, &[], tier, CUSTOM_BUDGET, OnFail::Continue), answer);
    }
    Ok(steps)
}

/// Data is spoiled, restored, and looked for. Where there is no snapshot, nothing is spoiled. Without canaries there is nothing to spoil,
/// and the look says that nothing was proved.
fn restore_tier(before: &str, canaries: bool) -> Vec<Planned> {
    let tier = Class::Tier(Tier::Restore);
    let moment = Moment::AfterRestore;
    let spoil = canaries.then(|| planned("corrupt", Step::Corrupt, &[before], tier, ABRA_BUDGET, OnFail::SkipTier));
    let before = if canaries { "corrupt" } else { before };
    let steps = [
        planned("restore", Step::Restore, &[before], tier, BACKUP_BUDGET, OnFail::SkipTier),
        planned("http-restore", Step::Http, &["restore"], tier, HTTP_BUDGET, OnFail::Continue),
        planned("check-restore", Step::Check { moment }, &["http-restore"], tier, ABRA_BUDGET, OnFail::Continue),
        planned("stable-restore", Step::Stable, &["check-restore"], tier, ABRA_BUDGET, OnFail::Continue),
    ];
    spoil.into_iter().chain(steps).collect()
}

fn last(steps: &[Planned]) -> String {
    steps.last().map_or_else(String::new, |planned| planned.id.0.clone())
}

/// Adds the steps of the pack: wiring before the deploy, its word on readiness and its checks after the install, custom tests one
/// after the other at the end.
fn with_pack(request: &Request, pack: &Pack, wires: bool, steps: &mut Vec<Planned>, skips: &mut BTreeMap<Tier, SkipReason>) {
    if wires {
        let wire =
            planned("configure", Step::Configure, &["provision"], Class::Tier(Tier::Install), CUSTOM_BUDGET, OnFail::EndTiers);
        put_between(steps, wire, "deploy");
    }
    let function = |test: &TestName, tier, before: &str, steps: &mut Vec<Planned>| {
        let step = Step::Custom { test: test.clone() };
        let step = planned(test.as_str(), step, &[], Class::Tier(tier), CUSTOM_BUDGET, OnFail::Continue);
        // Readiness is asked for until it holds anyway.
        let retries = if test.as_str() == TestName::READY { 0 } else { request.tests.retries };
        let step = Planned { attempts: retries.saturating_add(1), ..step };
        put_between(steps, step, before);
    };
    if pack.hooks.ready {
        function(&TestName::reported(TestName::READY), Tier::Install, "stable", steps);
    }
    for (_, check) in pack.hooks.checks.iter().filter(|(tier, _)| *tier == Tier::Install) {
        function(check, Tier::Install, "stable", steps);
    }
    if !request.tiers.contains(&Tier::Custom) {
        return;
    }
    if let Some(because) = pack.not_applicable(Tier::Custom.name()) {
        skips.insert(Tier::Custom, SkipReason::NotApplicable { because: because.to_owned() });
        return;
    }
    for test in &pack.tests {
        function(&test.name, Tier::Custom, "undeploy", steps);
    }
    for (_, check) in pack.hooks.checks.iter().filter(|(tier, _)| *tier == Tier::Custom) {
        function(check, Tier::Custom, "undeploy", steps);
    }
}

/// Puts a step before the one called `before`, which then comes after it; it comes after all that the other came after, but not after
/// what runs beside the tiers.
fn put_between(steps: &mut Vec<Planned>, mut step: Planned, before: &str) {
    let Some(at) = steps.iter().position(|planned| planned.id.0 == before) else { return };
    let beside = |id: &StepId| {
        // Canaries are planted and the app is pictured beside the tiers, and still before whatever comes next.
        let waits = |step: &Step| matches!(step, Step::Seed | Step::Screenshot);
        steps.iter().any(|planned| planned.id == *id && planned.class == Class::Beside && !waits(&planned.step))
    };
    let (mut after, moved): (Vec<StepId>, Vec<StepId>) = steps[at].after.iter().cloned().partition(beside);
    step.after = moved;
    after.push(step.id.clone());
    steps[at].after = after;
    steps.insert(at, step);
}

/// The name of the step that keeps the app.
const KEEP: &str = "keep";

/// The step that keeps the app: it comes after all that is done with it, and before all that would remove it.
fn keeping(keep: Duration) -> Planned {
    let for_ms = millis(keep);
    planned(KEEP, Step::Keep { for_ms }, &[], Class::Always, ABRA_BUDGET, OnFail::Continue)
}

/// How long the stack may take to settle: what the host file says, else as long as its slowest service may take by its own
/// health check, and [`SETTLE_BUDGET`] at least. A budget that is too short for a service would only prove that it is.
fn settle_budget(request: &Request, resolved: &Resolved, limits: &Limits) -> Result<Duration, Refusal> {
    let slowest = resolved.services.iter().max_by_key(|(_, service)| service.allowance());
    let Some((name, allowance)) = slowest.map(|(name, service)| (name, service.allowance())) else { return Ok(SETTLE_BUDGET) };
    let given = limits.deploy_seconds.map(Duration::from_secs);
    let refused = |what: String, remedy: &str| {
        let needs = format!("the health check of service {name} allows {} until it is healthy", format_duration(allowance));
        Refusal::Request { sentence: format!("{needs}, and {what}; {remedy}") }
    };
    if let Some(given) = given.filter(|given| *given < allowance) {
        return Err(refused(
            format!("a deploy on this host may take {}", format_duration(given)),
            "raise limits.deploy_seconds in the host file",
        ));
    }
    // A deadline that somebody chose is their own word, and an app is mostly healthy long before its allowance is over.
    if request.deadline == DEFAULT_DEADLINE && DEFAULT_DEADLINE < allowance {
        return Err(refused(
            format!("the run's deadline is {}", format_duration(request.deadline)),
            "give it a longer --deadline",
        ));
    }
    Ok(given.unwrap_or(SETTLE_BUDGET.max(allowance.saturating_add(ABRA_BUDGET))))
}

pub(super) fn clean_up(after: &[&str]) -> Vec<Planned> {
    vec![
        planned("cleanup", Step::Cleanup, after, Class::Always, CLEANUP_BUDGET, OnFail::Continue),
        planned("compare-host", Step::CompareHost, &["cleanup"], Class::Always, ABRA_BUDGET, OnFail::Continue),
    ]
}

pub(super) fn planned(id: &str, step: Step, after: &[&str], class: Class, budget: Duration, on_fail: OnFail) -> Planned {
    let budget_ms = millis(budget);
    let after = after.iter().map(|id| StepId((*id).to_owned())).collect();
    Planned { id: StepId(id.to_owned()), step, after, class, budget_ms, on_fail, attempts: 1 }
}
