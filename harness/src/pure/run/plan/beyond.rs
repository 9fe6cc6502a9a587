//! The steps that are asked for beyond the tiers: what `--thorough` and `--disaster` add.

use super::{
    Class, OnFail, Planned, Step,
    tiers::{ABRA_BUDGET, BACKUP_BUDGET, CLEANUP_BUDGET, CUSTOM_BUDGET, HTTP_BUDGET, planned},
};
use crate::{
    model::outcome::{Subject, Tier},
    pure::recipe::{canary::Moment, post_deploy::Post},
};
use std::time::Duration;

/// What is known of the app whose steps these are.
#[derive(Debug, Clone, Copy)]
pub(super) struct App {
    /// How long it may take to settle.
    pub(super) settle: Duration,
    /// Whether its canaries are looked for.
    pub(super) canaries: bool,
    /// Whether its pack wires it.
    pub(super) wires: bool,
    /// Whether its `.env` names commands for after a deploy.
    pub(super) posts: bool,
}

/// What is done with head once more, one after the other.
pub(super) fn thorough(app: App) -> Vec<Planned> {
    let step = |id: &str, step, budget, on_fail| planned(id, step, &[], Class::Thorough, budget, on_fail);
    let check = |id, moment| app.canaries.then(|| step(id, Step::Check { moment }, ABRA_BUDGET, OnFail::Continue));
    let mut steps = vec![
        step("combinations", Step::Combinations, ABRA_BUDGET, OnFail::Continue),
        step("redeploy", Step::Redeploy, app.settle, OnFail::Continue),
        step("restart", Step::Restart, app.settle, OnFail::Continue),
        step("http-restart", Step::Http, HTTP_BUDGET, OnFail::Continue),
    ];
    steps.extend(check("check-restart", Moment::AfterRestart));
    steps.push(step("remove", Step::Remove { data: false }, CLEANUP_BUDGET, OnFail::SkipTier));
    steps.push(step("reinstall", Step::Deploy { subject: Subject::Head }, app.settle, OnFail::SkipTier));
    steps.extend(app.posts.then(|| step("post-reinstall", POST, CUSTOM_BUDGET, OnFail::Continue)));
    steps.push(step("http-reinstall", Step::Http, HTTP_BUDGET, OnFail::Continue));
    steps.extend(check("check-reinstall", Moment::AfterReinstall));
    steps.push(step("stable-reinstall", Step::Stable, ABRA_BUDGET, OnFail::Continue));
    steps
}

const POST: Step = Step::PostDeploy { after: Post::Deploy };

/// The app is lost with all its data, and restored into a new one. It comes last, for what runs behind it is not what was upgraded.
pub(super) fn disaster(app: App) -> Vec<Planned> {
    let step = |id: &str, step, budget, on_fail| planned(id, step, &[], Class::Tier(Tier::Restore), budget, on_fail);
    let mut steps = vec![
        step("disaster", Step::Remove { data: true }, CLEANUP_BUDGET, OnFail::SkipTier),
        step("renew", Step::Renew, ABRA_BUDGET, OnFail::SkipTier),
    ];
    steps.extend(app.wires.then(|| step("configure-disaster", Step::Configure, CUSTOM_BUDGET, OnFail::SkipTier)));
    steps.push(step("deploy-disaster", Step::Deploy { subject: Subject::Head }, app.settle, OnFail::SkipTier));
    steps.extend(app.posts.then(|| step("post-disaster", POST, CUSTOM_BUDGET, OnFail::Continue)));
    steps.push(step("restore-disaster", Step::Restore, BACKUP_BUDGET, OnFail::SkipTier));
    steps.push(step("http-disaster", Step::Http, HTTP_BUDGET, OnFail::Continue));
    steps.push(step("check-disaster", Step::Check { moment: Moment::AfterDisaster }, ABRA_BUDGET, OnFail::Continue));
    steps.push(step("stable-disaster", Step::Stable, ABRA_BUDGET, OnFail::Continue));
    steps
}
