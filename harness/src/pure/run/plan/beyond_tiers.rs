//! The steps that `--thorough` and `--disaster` add to a plan.

use std::time::Duration;

use super::{Class, OnFail, Planned, Step, budgets, sequence::planned, step_ids};
use crate::{
    model::outcome::{Subject, Tier},
    pure::recipe::{canary::Moment, post_deploy::Post},
};

/// The app that these steps are done with.
#[derive(Debug, Clone, Copy)]
pub(super) struct App {
    /// How long it may take to settle.
    pub(super) settle: Duration,
    /// Whether its canaries are checked.
    pub(super) canaries: bool,
    /// Whether its pack configures it.
    pub(super) configured: bool,
    /// Whether its `.env` names commands for after a deploy.
    pub(super) post_deploy: bool,
}

const POST_DEPLOY: Step = Step::PostDeploy { after: Post::Deploy };

/// The steps of `--thorough`, one after the other: head is deployed again, restarted, removed and installed again with its data.
pub(super) fn thorough(app: App) -> Vec<Planned> {
    let step = |id: &str, step, budget, on_fail| planned(id, step, &[], Class::Thorough, budget, on_fail);
    let check = |id, moment| app.canaries.then(|| step(id, Step::Check { moment }, budgets::SHORT, OnFail::Continue));
    let mut steps = vec![
        step(step_ids::COMBINATIONS, Step::Combinations, budgets::SHORT, OnFail::Continue),
        step(step_ids::REDEPLOY, Step::Redeploy, app.settle, OnFail::Continue),
        step(step_ids::RESTART, Step::Restart, app.settle, OnFail::Continue),
        step(step_ids::HTTP_RESTART, Step::Http, budgets::HTTP, OnFail::Continue),
    ];
    steps.extend(check(step_ids::CHECK_RESTART, Moment::AfterRestart));
    steps.push(step(step_ids::REMOVE, Step::Remove { data: false }, budgets::CLEANUP, OnFail::SkipTier));
    steps.push(step(step_ids::REINSTALL, Step::Deploy { subject: Subject::Head }, app.settle, OnFail::SkipTier));
    let post = || step(step_ids::POST_REINSTALL, POST_DEPLOY, budgets::CUSTOM, OnFail::Continue);
    steps.extend(app.post_deploy.then(post));
    steps.push(step(step_ids::HTTP_REINSTALL, Step::Http, budgets::HTTP, OnFail::Continue));
    steps.extend(check(step_ids::CHECK_REINSTALL, Moment::AfterReinstall));
    steps.push(step(step_ids::STABLE_REINSTALL, Step::Stable, budgets::SHORT, OnFail::Continue));
    steps
}

/// The steps of `--disaster`: the app is lost with all its data, and restored into a new one. They come last, because what runs
/// after them is not what was upgraded.
pub(super) fn disaster(app: App) -> Vec<Planned> {
    let step = |id: &str, step, budget, on_fail| planned(id, step, &[], Class::Tier(Tier::Restore), budget, on_fail);
    let mut steps = vec![
        step(step_ids::DISASTER, Step::Remove { data: true }, budgets::CLEANUP, OnFail::SkipTier),
        step(step_ids::RENEW, Step::Renew, budgets::SHORT, OnFail::SkipTier),
    ];
    let configure = || step(step_ids::CONFIGURE_DISASTER, Step::Configure, budgets::CUSTOM, OnFail::SkipTier);
    steps.extend(app.configured.then(configure));
    steps.push(step(step_ids::DEPLOY_DISASTER, Step::Deploy { subject: Subject::Head }, app.settle, OnFail::SkipTier));
    let post = || step(step_ids::POST_DISASTER, POST_DEPLOY, budgets::CUSTOM, OnFail::Continue);
    steps.extend(app.post_deploy.then(post));
    steps.push(step(step_ids::RESTORE_DISASTER, Step::Restore, budgets::BACKUP, OnFail::SkipTier));
    steps.push(step(step_ids::HTTP_DISASTER, Step::Http, budgets::HTTP, OnFail::Continue));
    let moment = Moment::AfterDisaster;
    steps.push(step(step_ids::CHECK_DISASTER, Step::Check { moment }, budgets::RESTORED, OnFail::Continue));
    steps.push(step(step_ids::STABLE_DISASTER, Step::Stable, budgets::RESTORED, OnFail::Continue));
    steps
}
