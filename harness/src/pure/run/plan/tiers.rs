//! The plan of a run: tier after tier on one deployment, the steps beside the tiers, and the steps that run whatever happens.

use std::collections::BTreeMap;

use super::{
    Class, OnFail, Plan, Planned, Step,
    beyond_tiers::{self, App},
    budgets, pack,
    sequence::{Sequence, clean_up, planned},
    step_ids,
};
use crate::{
    model::{
        host::Limits,
        outcome::{SkipReason, Subject, Tier},
        refusal::Refusal,
        request::Request,
        rung::Rung,
        time::millis,
    },
    pure::{
        recipe::{backup::Backed, canary::Moment, post_deploy::Post, upgrade_base::Base},
        run::facts::{Facts, recipe},
    },
};

/// The plan for a head: the tiers that were asked for on one deployment, then the removal of everything.
///
/// # Errors
/// When the recipe's own health checks need longer than they are given.
pub fn plan(request: &Request, facts: &Facts, limits: &Limits) -> Result<Plan, Refusal> {
    let request = &request.with_custom_tier_by_default(&facts.pack);
    let backed = Backed::of(&facts.resolved);
    let mut skips = skipped_tiers(request, facts, &backed);
    let scope = Scope::of(request, facts, &skips);
    let mut steps = tier_steps(request, facts, limits, scope)?;
    let last_of_tiers = steps.last().map(|id| id.0.clone()).unwrap_or_default();
    steps.extend(lint(facts));
    let after = [step_ids::VERIFY_COMPOSE, step_ids::LINT, &last_of_tiers];
    steps.push(planned(step_ids::UNDEPLOY, Step::Undeploy, &after, Class::Always, budgets::SHORT, OnFail::Continue));
    pack::add_configuration(scope.configured, &mut steps)?;
    pack::add_functions(request, &facts.pack, &mut steps, &mut skips)?;
    let screenshot = planned(step_ids::SCREENSHOT, Step::Screenshot, &[], Class::Beside, budgets::SCREENSHOT, OnFail::Continue);
    steps.insert_before(step_ids::UNDEPLOY, screenshot)?;
    let class = Class::Tier(steps.last_tier().unwrap_or(Tier::Install));
    let still = planned(step_ids::STILL_STABLE, Step::Stable, &[], class, budgets::HTTP, OnFail::Continue);
    steps.insert_before(step_ids::UNDEPLOY, still)?;
    let app = App {
        settle: budgets::settle(request.deadline, &facts.pack.settings.budgets, &facts.resolved, limits)?,
        canaries: scope.canaries,
        configured: facts.pack.configures(),
        post_deploy: recipe::posts(&facts.tree, &facts.pack, Post::Deploy),
    };
    let thorough = if request.extent.thorough { beyond_tiers::thorough(app) } else { Vec::new() };
    let disaster = if scope.disaster { beyond_tiers::disaster(app) } else { Vec::new() };
    let keep = request.authoring.keep.map(|keep| {
        let step = Step::Keep { for_ms: millis(keep) };
        planned(step_ids::KEEP, step, &[], Class::Always, budgets::SHORT, OnFail::Continue)
    });
    // The snapshot is kept as long as something is restored from it.
    let last_of_snapshot = keep.as_ref().or(disaster.last()).map_or(last_of_tiers, |planned| planned.id.0.clone());
    for step in thorough.into_iter().chain(disaster).chain(keep) {
        steps.insert_before(step_ids::UNDEPLOY, step)?;
    }
    let mut removed = vec![step_ids::UNDEPLOY];
    if scope.backs_up {
        let after = &[last_of_snapshot.as_str()];
        let forget = Step::ForgetSnapshot;
        let forget = planned(step_ids::FORGET_SNAPSHOT, forget, after, Class::Always, budgets::SHORT, OnFail::Continue);
        steps.list_before(step_ids::UNDEPLOY, forget)?;
        removed.push(step_ids::FORGET_SNAPSHOT);
    }
    steps.extend(clean_up(&removed));
    let (head, base, against) = (Some(facts.head.clone()), Some(facts.base.clone()), Some(facts.against.clone()));
    let covered = facts.resolved.volumes.keys().filter(|_| backed.enabled());
    let mut steps = steps.finish()?;
    budgets::give(&facts.pack.settings.budgets, request.deadline, &mut steps)?;
    Ok(Plan {
        head,
        base,
        against,
        left_out: facts.left_out.clone(),
        faults: facts.faults.clone(),
        refusal: None,
        steps,
        skips,
        coverage: covered.map(|volume| (volume.clone(), backed.coverage(volume))).collect(),
        needs: facts.needs.clone(),
        pack: Box::new(facts.pack.clone()),
    })
}

/// What a run does, as far as its steps depend on it.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// Whether base is installed and replaced by head.
    upgrades: bool,
    /// Whether an upgrade was asked for and nothing is known to upgrade from.
    baseless: bool,
    /// Whether a snapshot is made.
    backs_up: bool,
    /// Whether the snapshot is restored.
    restores: bool,
    /// Whether data is seeded and checked.
    canaries: bool,
    /// Whether the app is lost with its data and restored.
    disaster: bool,
    /// Whether the app is configured before its first deploy, by the pack or to repair base.
    configured: bool,
}

impl Scope {
    fn of(request: &Request, facts: &Facts, skips: &BTreeMap<Tier, SkipReason>) -> Self {
        let runs = |tier| !skips.contains_key(&tier);
        let repaired = facts.base_files.as_ref().is_some_and(|files| files.repair.is_some());
        Self {
            upgrades: runs(Tier::Upgrade) && facts.base_files.is_some(),
            baseless: runs(Tier::Upgrade) && facts.base_files.is_none(),
            backs_up: runs(Tier::Backup),
            restores: runs(Tier::Restore),
            canaries: !request.extent.no_canaries,
            disaster: request.extent.disaster && runs(Tier::Restore),
            configured: facts.pack.configures() || (runs(Tier::Upgrade) && repaired),
        }
    }
}

/// The tiers that are not run: the request leaves them out, the pack says that they do not apply, or the recipe has no such
/// thing.
fn skipped_tiers(request: &Request, facts: &Facts, backed: &Backed) -> BTreeMap<Tier, SkipReason> {
    let mut skips: BTreeMap<Tier, SkipReason> =
        Tier::ALL.into_iter().filter(|tier| !request.tiers.contains(tier)).map(|tier| (tier, SkipReason::NotAsked)).collect();
    for (rung, tiers) in [(Rung::Upgrade, &[Tier::Upgrade][..]), (Rung::BackupRestore, &[Tier::Backup, Tier::Restore])] {
        let Some(because) = facts.pack.not_applicable(rung.name()) else { continue };
        for tier in tiers {
            skips.entry(*tier).or_insert_with(|| SkipReason::NotApplicable { because: because.to_owned() });
        }
    }
    if let Base::None { unverified: false, .. } = facts.base {
        skips.entry(Tier::Upgrade).or_insert_with(|| SkipReason::Structural { lacks: "an older version".into() });
    }
    if !backed.enabled() {
        for tier in [Tier::Backup, Tier::Restore] {
            skips.entry(tier).or_insert_with(|| SkipReason::Structural { lacks: "a label backupbot.backup".into() });
        }
    }
    skips
}

/// The steps after which the app that was installed first can be worked with.
const INSTALLED: &[&str] = &[step_ids::STABLE, step_ids::VERIFY_COMPOSE];

/// The steps of the tiers but the custom tests, with the canaries between them.
fn tier_steps(request: &Request, facts: &Facts, limits: &Limits, scope: Scope) -> Result<Sequence, Refusal> {
    let mut steps = install_tier(request, facts, limits, scope)?;
    if scope.canaries && (scope.upgrades || scope.restores || request.extent.thorough) {
        steps.push(planned(step_ids::SEED, Step::Seed, INSTALLED, Class::Beside, budgets::SHORT, OnFail::Continue));
    }
    if scope.upgrades {
        let after = if scope.canaries { &[step_ids::SEED] } else { INSTALLED };
        steps.append(upgrade_tier(request, facts, limits, after)?);
    }
    if scope.baseless {
        let tier = Class::Tier(Tier::Upgrade);
        steps.push(planned(step_ids::UPGRADE, Step::Upgrade, INSTALLED, tier, budgets::SHORT, OnFail::Continue));
    }
    if scope.backs_up {
        let last = steps.last().map(|id| id.0.clone()).unwrap_or_default();
        let class = Class::Tier(Tier::Backup);
        steps.push(planned(step_ids::BACKUP, Step::Backup, &[&last], class, budgets::BACKUP, OnFail::Continue));
    }
    if scope.restores {
        let last = steps.last().map(|id| id.0.clone()).unwrap_or_default();
        steps.extend(restore_tier(&last, scope.canaries));
    }
    Ok(steps)
}

/// The install of base where an upgrade follows, else of head.
fn install_tier(request: &Request, facts: &Facts, limits: &Limits, scope: Scope) -> Result<Sequence, Refusal> {
    let install = Class::Tier(Tier::Install);
    let (subject, resolved, tree) = match &facts.base_files {
        Some(base) if scope.upgrades => (Subject::Base, &base.resolved, &base.tree),
        Some(_) | None => (Subject::Head, &facts.resolved, &facts.tree),
    };
    let settle = budgets::settle(request.deadline, &facts.pack.settings.budgets, resolved, limits)?;
    // abra refuses to deploy a release by its version that breaks a rule of severity error; then it is deployed as it is checked
    // out.
    let before_deploy: &[&str] = match subject {
        Subject::Base => &[step_ids::PROVISION, step_ids::LINT_BASE],
        Subject::Head | Subject::Mixed => &[step_ids::PROVISION],
    };
    let deployed = &[step_ids::DEPLOY];
    // The proof of head rests on it: its own tier, where head is installed, and else the step `verify-head`.
    let compared = if subject == Subject::Head { install } else { Class::Beside };
    let mut steps = Sequence::default();
    steps.extend([
        planned(step_ids::PROVISION, Step::Provision, &[], install, budgets::SHORT, OnFail::EndTiers),
        planned(step_ids::DEPLOY, Step::Deploy { subject }, before_deploy, install, settle, OnFail::EndTiers),
        planned(step_ids::VERIFY_COMPOSE, Step::VerifyCompose, deployed, compared, budgets::SHORT, OnFail::Continue),
        planned(step_ids::HTTP, Step::Http, deployed, install, budgets::HTTP, OnFail::Continue),
        planned(step_ids::STABLE, Step::Stable, &[step_ids::HTTP], install, budgets::SHORT, OnFail::Continue),
    ]);
    if recipe::posts(tree, &facts.pack, Post::Deploy) {
        let step = Step::PostDeploy { after: Post::Deploy };
        let post = planned(step_ids::POST_DEPLOY, step, &[], install, budgets::CUSTOM, OnFail::Continue);
        steps.insert_before(step_ids::HTTP, post)?;
    }
    Ok(steps)
}

/// The upgrade in place. A failure skips the rest of this tier only: later tiers run on what is deployed then, and say so.
fn upgrade_tier(request: &Request, facts: &Facts, limits: &Limits, after: &[&str]) -> Result<Sequence, Refusal> {
    let tier = Class::Tier(Tier::Upgrade);
    let settle = budgets::settle(request.deadline, &facts.pack.settings.budgets, &facts.resolved, limits)?;
    let check = Step::Check { moment: Moment::AfterUpgrade };
    let mut steps = Sequence::default();
    steps.extend([
        planned(step_ids::MIGRATE, Step::Migrate, after, tier, budgets::SHORT, OnFail::SkipTier),
        planned(step_ids::UPGRADE, Step::Upgrade, &[step_ids::MIGRATE], tier, settle, OnFail::SkipTier),
        planned(step_ids::VERIFY_HEAD, Step::VerifyHead, &[step_ids::UPGRADE], tier, budgets::SHORT, OnFail::Continue),
        planned(step_ids::HTTP_UPGRADE, Step::Http, &[step_ids::VERIFY_HEAD], tier, budgets::HTTP, OnFail::Continue),
        planned(step_ids::CHECK_UPGRADE, check, &[step_ids::HTTP_UPGRADE], tier, budgets::SHORT, OnFail::Continue),
        planned(step_ids::STABLE_UPGRADE, Step::Stable, &[step_ids::CHECK_UPGRADE], tier, budgets::SHORT, OnFail::Continue),
    ]);
    let mut trees = facts.base_files.iter().map(|base| &base.tree).chain([&facts.tree]);
    if trees.any(|tree| recipe::posts(tree, &facts.pack, Post::Upgrade)) {
        let step = Step::PostDeploy { after: Post::Upgrade };
        let post = planned(step_ids::POST_UPGRADE, step, &[], tier, budgets::CUSTOM, OnFail::Continue);
        steps.insert_before(step_ids::HTTP_UPGRADE, post)?;
    }
    Ok(steps)
}

/// Canaries are corrupted, restored, and checked. Without canaries nothing is corrupted, and the check says that nothing was
/// proved.
fn restore_tier(last: &str, canaries: bool) -> Vec<Planned> {
    let tier = Class::Tier(Tier::Restore);
    let check = Step::Check { moment: Moment::AfterRestore };
    let corrupt = canaries.then(|| planned(step_ids::CORRUPT, Step::Corrupt, &[last], tier, budgets::SHORT, OnFail::SkipTier));
    let last = if canaries { step_ids::CORRUPT } else { last };
    let steps = [
        planned(step_ids::RESTORE, Step::Restore, &[last], tier, budgets::BACKUP, OnFail::SkipTier),
        planned(step_ids::HTTP_RESTORE, Step::Http, &[step_ids::RESTORE], tier, budgets::HTTP, OnFail::Continue),
        planned(step_ids::CHECK_RESTORE, check, &[step_ids::HTTP_RESTORE], tier, budgets::RESTORED, OnFail::Continue),
        planned(step_ids::STABLE_RESTORE, Step::Stable, &[step_ids::CHECK_RESTORE], tier, budgets::RESTORED, OnFail::Continue),
    ];
    corrupt.into_iter().chain(steps).collect()
}

/// Lint of head, after lint of what it is compared with, which says what head introduced.
fn lint(facts: &Facts) -> Vec<Planned> {
    let step =
        |id, subject, after: &[&str]| planned(id, Step::Lint { subject }, after, Class::Beside, budgets::LINT, OnFail::Continue);
    match facts.against.commit() {
        Some(_) => {
            vec![step(step_ids::LINT_BASE, Subject::Base, &[]), step(step_ids::LINT, Subject::Head, &[step_ids::LINT_BASE])]
        }
        None => vec![step(step_ids::LINT, Subject::Head, &[])],
    }
}
