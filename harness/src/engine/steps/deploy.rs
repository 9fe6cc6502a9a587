//! Deploys the app, first or over what runs, and waits until it has settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use super::{
    ABRA_PATIENCE, Context, Evidence, check, defect,
    shared::settle::{self, Seen},
    stable, unread,
};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        outcome::{Cause, Failure, Outcome, Owner, Subject},
    },
    ports::{AbraError, Call, Swarm},
    pure::{
        host::{
            claim::{Claim, Claimed},
            converge::{Blocker, Endpoint, Evaluation, Goal, Marks, ServiceView, TaskState, Watch},
            preflight::Topic,
        },
        recipe::lint::{self, Linted},
        run::{
            event::{Note, TaskSeen},
            facts::Before,
            plan::StepId,
        },
    },
};

/// How many lines of a failed task's log are kept.
const LOG_LINES: u32 = 200;
/// How long the engine may show nothing of what abra says it deployed, and the pause between two looks.
const APPEARS: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Deploys base or head where nothing is deployed.
pub(super) async fn deploy(context: &Context<'_>, id: &StepId, budget: Duration, subject: Subject) -> Outcome {
    let (head, claim) = match claimed(context) {
        Ok(claimed) => claimed,
        Err(failure) => return Outcome::Failed(failure),
    };
    let version = match (subject, &context.base) {
        (Subject::Base, Some((base, before))) => {
            match unpinned(context.wires(), before, context.log.state().lint.get(&Subject::Base)) {
                None => base.version().map(str::to_owned),
                Some(why) => {
                    let text = format!("base {base} was deployed as it is checked out: {why}");
                    context.log.note(Note::Remark { text });
                    None
                }
            }
        }
        (Subject::Base | Subject::Head | Subject::Mixed, _) => None,
    };
    context.log.note(Note::Deployed);
    let call = Call::Deploy { domain: head.domain.clone(), version };
    let outcome = match context.ports.abra.call(&call, Some(&claim), ABRA_PATIENCE).await {
        Ok(_) => settles(context, id, &head, Watch::new(Goal::Settle), budget).await,
        Err(error) => Outcome::Failed(refused(error)),
    };
    context.log.note(Note::Runs { subject });
    outcome
}

/// Why base cannot be deployed by its version, if it cannot: abra lints what it deploys so, and refuses what breaks a rule of severity
/// error.
fn unpinned(wired: bool, before: &Before, linted: Option<&Linted>) -> Option<String> {
    if wired {
        return Some("the pack adds to its files, and abra pins only a clean checkout".into());
    }
    match (before.pinned, linted.map(Linted::errors)) {
        (false, _) => Some("abra pins only releases whose tags are all annotated".into()),
        (true, None) => Some("it could not be linted, and abra pins only what it can lint".into()),
        (true, Some(errors)) if errors.is_empty() => None,
        (true, Some(errors)) => Some(format!("abra pins nothing with lint errors: {}", lint::named(&errors))),
    }
}

/// Deploys head over what runs.
pub(super) async fn upgrade(context: &Context<'_>, id: &StepId, budget: Duration) -> Outcome {
    let (head, claim, before) = match standing(context).await {
        Ok((head, claim, services)) => (head, claim, Marks::of(&services)),
        Err(outcome) => return outcome,
    };
    let swarm = &*context.ports.swarm;
    context.log.note(Note::Runs { subject: Subject::Mixed });
    let call = Call::Deploy { domain: head.domain.clone(), version: None };
    if let Err(error) = context.ports.abra.call(&call, Some(&claim), ABRA_PATIENCE).await {
        if swarm.observe(&head.stack).await.is_ok_and(|services| same_specs(&before, &services)) {
            context.log.note(Note::Runs { subject: Subject::Base });
        }
        return Outcome::Failed(refused(error));
    }
    let watch = match watch_for_what_was_asked(context, &head, before.clone()).await {
        Ok(watch) => watch,
        Err(outcome) => return outcome,
    };
    let outcome = settles(context, id, &head, watch, budget).await;
    match &outcome {
        Outcome::Passed => context.log.note(Note::Runs { subject: Subject::Head }),
        Outcome::Failed(_) | Outcome::Unverified(_) | Outcome::Skipped(_) => {
            if swarm.observe(&head.stack).await.is_ok_and(|services| same_specs(&before, &services)) {
                context.log.note(Note::Runs { subject: Subject::Base });
            }
        }
    }
    outcome
}

/// The app with its claim, and what runs of it; else what came of looking.
pub(super) async fn standing(context: &Context<'_>) -> Result<(Head, Claim, BTreeMap<ServiceName, ServiceView>), Outcome> {
    let (head, claim) = claimed(context).map_err(Outcome::Failed)?;
    let services = context.ports.swarm.observe(&head.stack).await.map_err(|error| unread(&error))?;
    Ok((head, claim, services))
}

/// The watch for what was asked for just now, over what ran `before`; else what came of looking.
pub(super) async fn watch_for_what_was_asked(context: &Context<'_>, head: &Head, before: Marks) -> Result<Watch, Outcome> {
    let services = context.ports.swarm.observe(&head.stack).await.map_err(|error| unread(&error))?;
    Ok(Watch::new(Goal::Upgrade(Marks::of(&services))).coming_from(before))
}

/// Whether every service has the spec that it had.
fn same_specs(before: &Marks, services: &BTreeMap<ServiceName, ServiceView>) -> bool {
    let specs = |marks: &Marks| marks.0.iter().map(|(name, (_, spec))| (name.clone(), spec.clone())).collect::<BTreeMap<_, _>>();
    specs(before) == specs(&Marks::of(services))
}

/// Waits until what abra has just deployed has settled, and notes what was seen of it.
pub(super) async fn settles(context: &Context<'_>, id: &StepId, head: &Head, watch: Watch, budget: Duration) -> Outcome {
    context.unseen.set(true);
    if let Err(failure) = appears(context, id, head).await {
        let outcome = Outcome::Failed(failure);
        check(context, id, "the engine has what abra deployed", &outcome);
        return outcome;
    }
    context.unseen.set(false);
    let (swarm, clock) = (&*context.ports.swarm, &*context.ports.clock);
    let patience = budget.saturating_sub(ABRA_PATIENCE);
    let watch = watch.with_one_shots(one_shots(context, head));
    let mut services = BTreeMap::new();
    let evaluation = settle::settle(swarm, clock, &head.stack, watch, patience, |seen| {
        if let Seen::Looked(look, evaluation) = seen {
            services.clone_from(&look.services);
            context.log.saw_tasks(id, tasks(head, &look.services));
            context.log.observe(id, waiting_for(head, evaluation));
        }
    })
    .await;
    let outcome = match evaluation {
        Evaluation::Settled { .. } => Outcome::Passed,
        Evaluation::Failed(failures) => worst(failures),
        Evaluation::Unverified(gap) => Outcome::Unverified(gap),
        Evaluation::Waiting { .. } => Outcome::Failed(defect("the watch ended while it still waited")),
    };
    // What was judged is what is noted: another look might fail, or show what came after.
    note(context, head, &services);
    let outcome = match outcome {
        Outcome::Failed(failure) => Outcome::Failed(with_evidence(context, id, head, &services, failure).await),
        other => other,
    };
    check(context, id, "all services settle", &outcome);
    outcome
}

/// The services that the pack says end by themselves.
pub(super) fn one_shots(context: &Context<'_>, head: &Head) -> BTreeSet<ServiceName> {
    let full = |short: &String| format!("{}_{short}", head.stack).parse().ok();
    context.pack.settings.one_shots.iter().filter_map(full).collect()
}

fn claimed(context: &Context<'_>) -> Result<(Head, Claim), Failure> {
    let head = context.head()?.clone();
    let claim = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    Ok((head, claim))
}

/// Waits until a service of the stack is where we look. abra returns once the Swarm has taken the stack, so one that stays
/// away was deployed to another Swarm. Whether the engine answers at all is left to the watch that follows.
async fn appears(context: &Context<'_>, id: &StepId, head: &Head) -> Result<(), Failure> {
    let (host, clock) = (context.host, &*context.ports.clock);
    let began = clock.mono();
    while context.ports.swarm.observe(&head.stack).await.is_ok_and(|services| services.is_empty()) {
        if clock.mono().since(began) >= APPEARS {
            let (server, engine, stack) = (&host.server, host.engine.display(), &head.stack);
            let check = Topic::SameSwarm.name().to_owned();
            let sentence = format!(
                "abra deployed {stack} to its server `{server}`, and the engine at {engine} shows nothing of it; make `server` and \
                 `engine` in the host file name the same, and remove there what abra leaves of {stack}: secrets and volumes"
            );
            return Err(Failure::new(Cause::Preflight { check }, sentence).owned_by(Owner::Infrastructure));
        }
        context.log.observe(id, vec!["the engine shows nothing yet of what abra deployed".into()]);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// The tasks as a look shows them, those of one service together.
pub(super) fn tasks(head: &Head, services: &BTreeMap<ServiceName, ServiceView>) -> Vec<TaskSeen> {
    let of = |(name, service): (&ServiceName, &ServiceView)| {
        let short = head.stack.short(name).to_owned();
        service.tasks.iter().map(|task| TaskSeen::of(&short, task)).collect::<Vec<_>>()
    };
    services.iter().flat_map(of).collect()
}

pub(super) fn waiting_for(head: &Head, evaluation: &Evaluation) -> Vec<String> {
    let Evaluation::Waiting { on, .. } = evaluation else { return Vec::new() };
    let line = |blocker: &Blocker| match &blocker.service {
        Some(service) => format!("{}: {}", head.stack.short(service), blocker.why),
        None => blocker.why.clone(),
    };
    on.iter().map(line).collect()
}

/// The failure that the verdict speaks of: the first, for the judge puts the worst first.
pub(super) fn worst(failures: Vec<Failure>) -> Outcome {
    let nameless = || Failure::new(Cause::Panic, "the judge failed the app without a reason; this is a defect of taster");
    Outcome::Failed(failures.into_iter().next().unwrap_or_else(nameless))
}

/// A deploy that abra itself refuses is mostly the recipe's fault: a missing secret, a compose file that cannot be read, a
/// config that was changed in place. What abra does not say of itself, such as a hang or a signal, stays infrastructure.
pub(super) fn refused(error: AbraError) -> Failure {
    let AbraError::Fatal { exit, reason, exchange } = error else { return Failure::from(error) };
    let failure = match changed_in_place(&exchange.text) {
        Some((kind, name)) => {
            let message = format!(
                "{kind} {name} is deployed already with other content, and Docker changes none in place; raise its version, which is \
                 part of its name"
            );
            Failure::new(Cause::ImmutableConfig { name }, message)
        }
        None => {
            let message = format!("abra app deploy ended with exit code {exit}: {reason}");
            Failure::new(Cause::AbraFatal { exit }, message).owned_by(Owner::Recipe)
        }
    };
    failure.quoting(&exchange.text)
}

/// The config or secret of which Docker says that it cannot be changed, by `failed to update config NAME: … only updates to Labels are
/// allowed`. A terminal may have broken the line anywhere.
fn changed_in_place(text: &str) -> Option<(&'static str, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if !words.join(" ").contains("only updates to Labels are allowed") {
        return None;
    }
    words.windows(5).find_map(|said| {
        let kind = match said[..4] {
            ["failed", "to", "update", "config"] => "config",
            ["failed", "to", "update", "secret"] => "secret",
            _ => return None,
        };
        Some((kind, said[4].trim_end_matches(':').to_owned()))
    })
}

/// Notes what runs, on which tasks it settled, and what a reader must know about how names resolve.
fn note(context: &Context<'_>, head: &Head, services: &BTreeMap<ServiceName, ServiceView>) {
    for (name, service) in services {
        let (service, image) = (head.stack.short(name).to_owned(), service.image.to_string());
        context.log.note(Note::Image { service, image });
    }
    context.log.note(Note::Settled { tasks: stable::running(services) });
    if !services.is_empty() && services.values().all(|service| service.endpoint == Endpoint::Dnsrr) {
        let text = "service names resolve to the tasks themselves (dnsrr), for this kernel has no IPVS; published ports are in host mode and updates stop first";
        context.log.note(Note::Remark { text: text.into() });
    }
}

/// Keeps what the services, their tasks and the logs of failed tasks show at the moment of failure.
async fn with_evidence(
    context: &Context<'_>,
    id: &StepId,
    head: &Head,
    services: &BTreeMap<ServiceName, ServiceView>,
    failure: Failure,
) -> Failure {
    let mut text = format!("{}\n", failure.told());
    for (name, service) in services {
        let _ = writeln!(text, "\n== {} ({}), {:?}", head.stack.short(name), service.image, service.mode);
        if let Some(update) = &service.update {
            let _ = writeln!(text, "update: {:?} {}", update.state, update.message);
        }
        for task in &service.tasks {
            let exit = task.exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
            let _ = writeln!(text, "task {}: wanted {:?}, is {:?}{exit} {}", task.id, task.desired, task.state, task.error);
        }
        text.push_str(&last_words(&*context.ports.swarm, service).await);
    }
    let what = "services, tasks and their last log lines at the moment of failure".to_owned();
    Evidence { step: id, name: &format!("{id}.txt"), what }.of(failure, context, &text)
}

/// The log of the task that failed last, or else of one that runs.
async fn last_words(swarm: &dyn Swarm, service: &ServiceView) -> String {
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
    fn what_was_changed_in_place_is_named_by_dockers_words() {
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
