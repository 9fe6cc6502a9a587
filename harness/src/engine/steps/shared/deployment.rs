//! A deploy that abra has accepted: waits until the app has settled, and records what runs. The steps `deploy`, `upgrade`,
//! `redeploy` and `restart` use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use super::{
    ABRA_TIMEOUT,
    context::StepContext,
    evidence::StepEvidence,
    failure::{defect, unread},
    live_power,
    settle::{self, Seen},
    tasks::observed_tasks,
};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        outcome::{Cause, Failure, Outcome, Owner},
    },
    ports::{AbraError, Swarm},
    pure::{
        host::{
            claim::Claim,
            converge::{Blocker, Endpoint, Evaluation, Goal, Marks, ServiceView, TaskState, Watch},
            preflight::Topic,
        },
        run::{
            event::Note,
            plan::StepId,
            settled_app::{running_tasks, specs},
            severity,
        },
    },
};

/// How many lines of a failed task's log are kept.
const LOG_LINES: u32 = 200;
/// How long the engine may show nothing of a deploy, and the pause between two observations.
const APPEARS: Duration = Duration::from_secs(3);
const APPEARS_POLL: Duration = Duration::from_millis(100);

/// The app that runs: head with the claim of its stack, and the services. Otherwise the outcome of the step.
pub(in crate::engine::steps) async fn running_app(
    context: &StepContext<'_>,
) -> Result<(Head, Claim, BTreeMap<ServiceName, ServiceView>), Outcome> {
    let (head, claim) = claimed_app(context).map_err(Outcome::Failed)?;
    let services = context.ports.swarm.observe(&head.stack).await.map_err(|error| unread(&error))?;
    Ok((head, claim, services))
}

/// Head with the claim of its stack.
pub(in crate::engine::steps) fn claimed_app(context: &StepContext<'_>) -> Result<(Head, Claim), Failure> {
    Ok((context.head()?.clone(), context.claim_stack()?))
}

/// The watch for an update that was just requested, over the services that ran `before`. Otherwise the outcome of the step.
pub(in crate::engine::steps) async fn watch_update(
    context: &StepContext<'_>,
    head: &Head,
    before: Marks,
) -> Result<Watch, Outcome> {
    let services = context.ports.swarm.observe(&head.stack).await.map_err(|error| unread(&error))?;
    Ok(Watch::new(Goal::Upgrade(Marks::of(&services))).coming_from(before))
}

/// Waits until an update that was just requested has settled, over the services that ran `before`.
pub(in crate::engine::steps) async fn settle_update(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    before: &BTreeMap<ServiceName, ServiceView>,
    budget: Duration,
) -> Outcome {
    match watch_update(context, head, Marks::of(before)).await {
        Ok(watch) => settle_deployment(context, id, head, watch, budget).await,
        Err(outcome) => outcome,
    }
}

/// Waits until the deployed app has settled, and records what the last observation shows.
pub(in crate::engine::steps) async fn settle_deployment(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    watch: Watch,
    budget: Duration,
) -> Outcome {
    context.deploy_not_visible.set(true);
    if let Err(failure) = wait_until_visible(context, id, head).await {
        let outcome = Outcome::Failed(failure);
        context.check(id, "the engine has what abra deployed", &outcome);
        return outcome;
    }
    context.deploy_not_visible.set(false);
    if let Err(outcome) = live_power::examine(context, head).await {
        context.check(id, "what runs has no more power than the host's policy allows", &outcome);
        return outcome;
    }
    let (evaluation, services) = observe_until_settled(context, id, head, watch, budget.saturating_sub(ABRA_TIMEOUT)).await;
    let outcome = match evaluation {
        Evaluation::Settled { .. } => Outcome::Passed,
        Evaluation::Failed(failures) => worst(failures),
        Evaluation::Unverified(gap) => Outcome::Unverified(gap),
        Evaluation::Waiting { .. } => Outcome::Failed(defect("the watch ended while it still waited")),
    };
    // The evaluated observation is recorded: another one might fail, or show a later state.
    record(context, head, &services, outcome.passed());
    let outcome = match outcome {
        Outcome::Failed(failure) => Outcome::Failed(with_evidence(context, id, head, &services, failure).await),
        other => other,
    };
    context.check(id, "all services settle", &outcome);
    outcome
}

/// Observes the app until its evaluation is final, and returns that with the services of the last observation.
pub(in crate::engine::steps) async fn observe_until_settled(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    watch: Watch,
    budget: Duration,
) -> (Evaluation, BTreeMap<ServiceName, ServiceView>) {
    let (swarm, registry, clock) = (&*context.ports.swarm, &*context.ports.capacity, &*context.ports.clock);
    let watch = watch.with_one_shots(one_shots(context, head)).with_default_memory(default_memory(context, head));
    let mut services = BTreeMap::new();
    let evaluation = settle::settle(swarm, registry, clock, &head.stack, watch, budget, |seen| {
        if let Seen::Observed(observation, evaluation) = seen {
            services.clone_from(&observation.services);
            context.log.observe_tasks(id, observed_tasks(head, &observation.services));
            context.log.observe(id, blockers(head, evaluation));
        }
    })
    .await;
    (evaluation, services)
}

/// The services that end by themselves, as the pack declares.
pub(in crate::engine::steps) fn one_shots(context: &StepContext<'_>, head: &Head) -> BTreeSet<ServiceName> {
    let full = |short: &String| format!("{}_{short}", head.stack).parse().ok();
    context.pack.settings.one_shots.iter().filter_map(full).collect()
}

/// The services whose limit of memory is the host file's.
fn default_memory(context: &StepContext<'_>, head: &Head) -> BTreeSet<ServiceName> {
    let last = context.last_deploy.borrow();
    let limited = last.iter().flat_map(|last| last.limits.services_with_memory());
    limited.filter_map(|short| format!("{}_{short}", head.stack).parse().ok()).collect()
}

/// Waits until the engine shows a service of the stack. abra returns once the Swarm has taken the stack, so a stack that stays
/// away was deployed to another Swarm. An engine that does not answer is left to the watch that follows.
async fn wait_until_visible(context: &StepContext<'_>, id: &StepId, head: &Head) -> Result<(), Failure> {
    let (host, clock) = (context.host, &*context.ports.clock);
    let began = clock.mono();
    while context.ports.swarm.observe(&head.stack).await.is_ok_and(|services| services.is_empty()) {
        if clock.mono().since(began) >= APPEARS {
            let (server, engine, stack) = (&host.server, host.engine.display(), &head.stack);
            let check = Topic::SameSwarm.name().to_owned();
            let sentence = format!(
                "abra deployed {stack} to its server `{server}`, and the engine at {engine} shows nothing of it; make `server` \
                 and `engine` in the host file name the same, and remove there what abra leaves of {stack}: secrets and volumes"
            );
            return Err(Failure::new(Cause::Preflight { check }, sentence).owned_by(Owner::Infrastructure));
        }
        context.log.observe(id, vec!["the engine shows nothing yet of what abra deployed".into()]);
        tokio::time::sleep(APPEARS_POLL).await;
    }
    Ok(())
}

/// What the app waits for, a line each.
fn blockers(head: &Head, evaluation: &Evaluation) -> Vec<String> {
    let Evaluation::Waiting { on, .. } = evaluation else { return Vec::new() };
    let line = |blocker: &Blocker| match &blocker.service {
        Some(service) => format!("{}: {}", head.stack.short(service), blocker.why),
        None => blocker.why.clone(),
    };
    on.iter().map(line).collect()
}

/// The failure of the step: the most severe one.
pub(in crate::engine::steps) fn worst(failures: Vec<Failure>) -> Outcome {
    let nameless = || Failure::new(Cause::Defect, "the evaluation failed the app without a reason; this is a defect of taster");
    severity::worst(failures.into_iter().map(Outcome::Failed)).unwrap_or_else(|| Outcome::Failed(nameless()))
}

/// The failure of a deploy that abra refuses. Mostly that is the recipe's fault: a missing secret, an unreadable compose file, a
/// config that was changed in place. A hang or a signal is not abra's answer and stays with infrastructure.
pub(in crate::engine::steps) fn refused_deploy(error: AbraError) -> Failure {
    let AbraError::Fatal { exit, reason, exchange } = error else { return Failure::from(error) };
    let failure = match changed_in_place(&exchange.text) {
        Some((kind, name)) => {
            let message = format!(
                "{kind} {name} is deployed already with other content, and Docker cannot change it in place; raise its version, \
                 which is part of its name"
            );
            Failure::new(Cause::ImmutableConfig { name }, message)
        }
        None => {
            let message = format!("abra app deploy ended with exit code {exit}: {reason}");
            Failure::new(Cause::AbraFatal { exit }, message).owned_by(Owner::Recipe)
        }
    };
    failure.with_output(&exchange.text)
}

/// The config or secret that Docker refuses to change, from `failed to update config NAME: … only updates to Labels are
/// allowed`. A terminal may have broken the line anywhere.
fn changed_in_place(text: &str) -> Option<(&'static str, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if !words.join(" ").contains("only updates to Labels are allowed") {
        return None;
    }
    words.windows(5).find_map(|window| {
        let kind = match window[..4] {
            ["failed", "to", "update", "config"] => "config",
            ["failed", "to", "update", "secret"] => "secret",
            _ => return None,
        };
        Some((kind, window[4].trim_end_matches(':').to_owned()))
    })
}

/// Records the images, the tasks on which the app settled, and how service names resolve where that is unusual.
fn record(context: &StepContext<'_>, head: &Head, services: &BTreeMap<ServiceName, ServiceView>, settled: bool) {
    for (name, service) in services {
        let (service, image) = (head.stack.short(name).to_owned(), service.image.to_string());
        context.log.note(Note::Image { service, image });
    }
    let specs = if settled { specs(services) } else { BTreeMap::new() };
    context.log.note(Note::Settled { tasks: running_tasks(services), specs });
    if !services.is_empty() && services.values().all(|service| service.endpoint == Endpoint::Dnsrr) {
        let text = "service names resolve to the tasks themselves (dnsrr) because this kernel has no IPVS; published ports are in \
                    host mode and updates stop first";
        context.log.note(Note::Remark { text: text.into() });
    }
}

/// Keeps the services, their tasks and the logs of failed tasks at the moment of failure.
async fn with_evidence(
    context: &StepContext<'_>,
    id: &StepId,
    head: &Head,
    services: &BTreeMap<ServiceName, ServiceView>,
    failure: Failure,
) -> Failure {
    let mut text = format!("{}\n", failure.with_excerpt());
    for (name, service) in services {
        let _ = writeln!(text, "\n== {} ({}), {:?}", head.stack.short(name), service.image, service.mode);
        if let Some(update) = &service.update {
            let _ = writeln!(text, "update: {:?} {}", update.state, update.message);
        }
        for task in &service.tasks {
            let exit = task.exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
            let _ = writeln!(text, "task {}: wanted {:?}, is {:?}{exit} {}", task.id, task.desired, task.state, task.error);
        }
        text.push_str(&log_tail(&*context.ports.swarm, service).await);
    }
    let what = "services, tasks and their last log lines at the moment of failure".to_owned();
    StepEvidence { step: id, name: &format!("{id}.txt"), what }.attach_to(failure, context, &text)
}

/// The log of the task that failed last, or else of one that runs.
async fn log_tail(swarm: &dyn Swarm, service: &ServiceView) -> String {
    let ended = |state| matches!(state, TaskState::Failed | TaskState::Rejected | TaskState::Complete);
    let task = service.tasks.iter().find(|task| ended(task.state)).or_else(|| service.tasks.first());
    let Some(task) = task else { return "no task\n".into() };
    match swarm.logs(&task.id, LOG_LINES).await {
        Ok(log) if log.trim().is_empty() => format!("log of task {}: empty\n", task.id),
        Ok(log) => format!("log of task {}:\n{}\n", task.id, log.trim_end()),
        Err(error) => format!("log of task {} cannot be read: {error}\n", task.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_that_was_changed_in_place_is_named() {
        let refused = "Error response from daemon: rpc error: code = InvalidArgument desc = only updates to Labels are allowed";
        for (text, found) in [
            (format!("FATA failed to update config shop_motd_v1: {refused}"), Some(("config", "shop_motd_v1".to_owned()))),
            (
                format!("Updating service shop_app\n  failed to update secret\n  shop_key_v1: {refused}"),
                Some(("secret", "shop_key_v1".to_owned())),
            ),
            ("FATA failed to update config shop_motd_v1: no such config".to_owned(), None),
            ("FATA secret not found: shop_token_v1".to_owned(), None),
        ] {
            assert_eq!(changed_in_place(&text), found, "{text}");
        }
    }
}
