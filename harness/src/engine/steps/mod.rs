//! The steps of a run, a file or folder each, performed through ports. A step never uses another step, only what is in
//! [`shared`]; the loop of a run alone sequences them, so what a step does can be read in its file.

mod backup;
mod canaries;
mod cleanup;
mod combinations;
mod compare_host;
mod configure;
mod custom;
mod deploy;
mod forget_snapshot;
mod http;
mod keep;
mod lint;
mod migrate;
mod post_deploy;
mod provision;
mod redeploy;
mod remove;
mod renew;
mod restart;
mod restore;
mod screenshot;
pub mod shared;
mod stable;
mod undeploy;
mod upgrade;
mod verify_compose;
mod verify_head;

use std::time::Duration;

use crate::{
    model::outcome::{Failure, Gap, Outcome, Owner, SkipReason, Tier},
    pure::{
        recipe::upgrade_base::Base,
        run::plan::{Class, Planned, Step},
    },
};
use shared::{
    answer_time::not_performed, canary_hint::with_canary_hint, context::StepContext, failure::passed_or_missing,
    settled_app::unless_interfered,
};

/// Performs a step to its end. The loop of a run bounds it by the step's budget.
pub async fn perform(context: &StepContext<'_>, planned: &Planned) -> Outcome {
    if let Some(gap) = not_on_head(context, &planned.step) {
        return Outcome::Unverified(gap);
    }
    if let Some(kept) = kept_instead(context, &planned.step) {
        return kept;
    }
    if let Some(gap) = not_performed(context, &planned.step) {
        return Outcome::Unverified(gap);
    }
    let outcome = match perform_step(context, planned).await {
        Outcome::Failed(failure) if works_with_app(planned) => unless_interfered(context, failure).await,
        other => other,
    };
    let outcome = match outcome {
        Outcome::Failed(failure) => Outcome::Failed(with_canary_hint(context, failure)),
        other => other,
    };
    match (planned.class, outcome, &context.base) {
        (Class::Tier(Tier::Install), Outcome::Failed(failure), Some((base, _))) => Outcome::Failed(blaming_base(base, failure)),
        (_, outcome, _) => outcome,
    }
}

async fn perform_step(context: &StepContext<'_>, planned: &Planned) -> Outcome {
    let (id, budget) = (&planned.id, planned.budget());
    match &planned.step {
        Step::Provision => passed_or_missing(provision::provision(context).await),
        Step::Configure => passed_or_missing(configure::configure(context, planned).await),
        Step::Deploy { subject } => deploy::deploy(context, id, budget, *subject).await,
        Step::VerifyCompose => verify_compose::verify_compose(context, id).await,
        Step::PostDeploy { after } => post_deploy::perform(context, id, budget, *after).await,
        Step::Http => http::http(context, id, budget).await,
        Step::Stable => stable::stable(context, id, budget).await,
        Step::Seed => canaries::seed(context, planned).await,
        Step::Check { moment } => canaries::check(context, planned, *moment).await,
        Step::Corrupt => canaries::corrupt(context, planned).await,
        Step::Migrate => passed_or_missing(migrate::migrate(context).await),
        Step::Upgrade => upgrade::upgrade(context, id, budget).await,
        Step::VerifyHead => verify_head::verify_head(context, id).await,
        Step::Backup => backup::backup(context, id, budget).await,
        Step::Restore => restore::restore(context, id, budget).await,
        Step::Custom { test } => custom::custom(context, planned, test).await,
        Step::Screenshot => screenshot::screenshot(context, budget).await,
        Step::Lint { subject } => lint::lint(context, id, budget, *subject).await,
        Step::Combinations => combinations::resolve_combinations(context, id),
        Step::Redeploy => redeploy::redeploy(context, id, budget).await,
        Step::Restart => restart::restart(context, id, budget).await,
        Step::Remove { data } => remove::remove(context, budget, *data).await,
        Step::Renew => passed_or_missing(renew::renew(context).await),
        Step::Keep { for_ms } => keep::keep(context, Duration::from_millis(*for_ms)),
        Step::ForgetSnapshot => forget_snapshot::forget_snapshot(context).await,
        Step::Undeploy => undeploy::undeploy(context).await,
        Step::Cleanup => cleanup::cleanup(context, budget).await,
        Step::CompareHost => compare_host::compare_host(context).await,
    }
}

/// Whether a failure of the step may come from what something else has done to the app. What a check of the settled app finds, it
/// has found before that.
fn works_with_app(planned: &Planned) -> bool {
    let apart = matches!(planned.step, Step::Lint { .. } | Step::Combinations | Step::Stable);
    !apart && planned.class != Class::Always
}

/// Why a step that applies to head alone is not performed: something else runs.
fn not_on_head(context: &StepContext<'_>, step: &Step) -> Option<Gap> {
    let of_head_alone = matches!(step, Step::Redeploy | Step::Restart | Step::Remove { .. });
    of_head_alone.then(|| context.log.state().not_on_head()).flatten()
}

/// The outcome of a step that would remove a kept app.
fn kept_instead(context: &StepContext<'_>, step: &Step) -> Option<Outcome> {
    let removes = matches!(step, Step::ForgetSnapshot | Step::Undeploy | Step::Cleanup | Step::CompareHost);
    let state = context.log.state();
    let kept = state.kept.as_ref().filter(|_| removes)?;
    Some(Outcome::Skipped(SkipReason::NotApplicable { because: format!("the app is kept until {}", kept.until) }))
}

/// The failure of an install of base: a base that does not install says nothing about head.
fn blaming_base(base: &Base, failure: Failure) -> Failure {
    match failure.owner {
        Owner::Recipe => {
            let message = format!("the base {base} does not install: {}; name another one with --base", failure.message);
            Failure { message, ..failure }.owned_by(Owner::Dependency)
        }
        Owner::Dependency | Owner::Infrastructure | Owner::Test | Owner::Harness => failure,
    }
}
