//! Has the backup service make a snapshot of the app, restore it, and forget it.

use std::{collections::BTreeMap, time::Duration};

use super::{
    ABRA_PATIENCE, Context, check,
    shared::settle::{self, Seen},
    stable, unread,
};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        outcome::{Cause, Failure, Gap, Outcome, Owner},
    },
    ports::{AbraError, Call},
    pure::{
        host::{
            claim::Claimed,
            converge::{Evaluation, Goal, Watch},
        },
        recipe::{
            backup::{Backed, Coverage, listed, same_snapshot, snapshot_id, snapshot_ids},
            canary::{self, Canary, CanaryState, FILE},
            compose::Resolved,
        },
        run::{event::Note, plan::StepId},
    },
};

/// How long services may take to stand still before their data is copied: a container that is just being replaced has no hooks.
const STILL: Duration = Duration::from_secs(300);
/// How often a snapshot is attempted: a lock of another run, and a container that is being replaced, go by.
const ATTEMPTS: u32 = 3;

pub(super) async fn backup(context: &Context<'_>, id: &StepId, budget: Duration) -> Outcome {
    backed_up(context, id, budget).await.unwrap_or_else(Outcome::Failed)
}

async fn backed_up(context: &Context<'_>, id: &StepId, budget: Duration) -> Result<Outcome, Failure> {
    let head = context.head()?.clone();
    let service = match bot(context).await? {
        Ok(service) => service,
        Err(gap) => return Ok(Outcome::Unverified(gap)),
    };
    if let Some(outcome) = still(context, id, &head, STILL.min(budget)).await {
        return Ok(outcome);
    }
    let resolved = match context.running_resolved().await? {
        Ok(resolved) => resolved,
        Err(what) => return Ok(Outcome::Unverified(Gap::ResolverDisagrees { what })),
    };
    let claim = context.claim(Claimed::Snapshots { app: head.domain.clone(), service })?;
    let call = Call::BackupCreate { domain: head.domain.clone() };
    let mut attempt = 1;
    let printed = loop {
        match context.ports.abra.call(&call, Some(&claim), ABRA_PATIENCE.max(budget / 2)).await {
            Ok(exchange) => break exchange.text,
            Err(error) if attempt < ATTEMPTS && passing(&error) => {
                context.log.record(crate::pure::run::event::Kind::Warned { text: format!("backup attempt {attempt}: {error}") });
                attempt += 1;
                if let Some(outcome) = still(context, id, &head, STILL.min(budget)).await {
                    return Ok(outcome);
                }
            }
            Err(error) => return Ok(Outcome::Failed(refused(error))),
        }
    };
    let Some(snapshot) = snapshot_id(&printed) else {
        let what = "abra app backup create names no snapshot_id".to_owned();
        return Ok(Outcome::Unverified(Gap::Unread { what }));
    };
    let all = snapshot_ids(&abra(context, &Call::BackupSnapshots { domain: head.domain.clone() }).await?);
    let made = match all.iter().any(|one| same_snapshot(one, &snapshot)) {
        true => Outcome::Passed,
        false => empty(format!("snapshot {snapshot} is not among the snapshots of the app")),
    };
    check(context, id, "the backup service has a snapshot of this run", &made);
    if !made.passed() {
        return Ok(made);
    }
    context.log.note(Note::Snapshot { id: snapshot.clone() });
    let outcome = holds(context, &head, &snapshot, &resolved).await?;
    check(context, id, "the snapshot holds what the labels name", &outcome);
    Ok(outcome)
}

/// Whether the snapshot has the canaries of whole volumes and something at each path that the labels name.
async fn holds(context: &Context<'_>, head: &Head, snapshot: &str, resolved: &Resolved) -> Result<Outcome, Failure> {
    let backed = Backed::of(resolved);
    let (domain, id) = (head.domain.clone(), snapshot.to_owned());
    let files = abra(context, &Call::BackupList { domain: domain.clone(), snapshot: id.clone() }).await?;
    let planted: Vec<Canary> =
        context.log.state().canaries.into_iter().filter(CanaryState::sound).map(|state| state.canary).collect();
    for (volume, name) in canary::of_volumes(resolved) {
        let canary = Canary::File { volume: volume.clone(), name: name.clone() };
        match backed.coverage(&volume) {
            Coverage::Whole if planted.contains(&canary) && listed(&files, &name, FILE).is_none() => {
                return Ok(empty(format!("snapshot {snapshot} lacks the file that was planted in volume {volume}")));
            }
            Coverage::Whole | Coverage::Excluded => {}
            Coverage::Paths { paths } => {
                for path in paths {
                    let Some(whole) = listed(&files, &name, &path) else {
                        return Ok(empty(format!("snapshot {snapshot} has no {path} of volume {volume}")));
                    };
                    match size(context, head, snapshot, whole).await? {
                        Ok(0) => return Ok(empty(format!("{path} of volume {volume} is empty in snapshot {snapshot}"))),
                        Ok(_) => {}
                        Err(what) => return Ok(Outcome::Unverified(Gap::Unread { what })),
                    }
                }
            }
        }
    }
    Ok(Outcome::Passed)
}

/// The bytes of the files that a snapshot has at `path`. The service keeps the last archive for all apps in one place, so another run
/// may put its own there in between.
async fn size(context: &Context<'_>, head: &Head, snapshot: &str, path: String) -> Result<Result<u64, String>, Failure> {
    let call = Call::BackupDownload { domain: head.domain.clone(), snapshot: snapshot.to_owned(), path: path.clone() };
    for _ in 0..ATTEMPTS {
        abra(context, &call).await?;
        // What was fetched while another was put in its place may be no archive at all.
        if let Ok(Some(size)) = context.ports.abra.downloaded(&path).await {
            return Ok(Ok(size));
        }
    }
    Ok(Err(format!("what abra downloads as {path} of snapshot {snapshot} is something else, {ATTEMPTS} times")))
}

fn empty(sentence: String) -> Outcome {
    Outcome::Failed(Failure::new(Cause::BackupEmpty, sentence))
}

/// Restores this run's snapshot. No option of abra's names one, so it must be the newest of the app.
pub(super) async fn restore(context: &Context<'_>, id: &StepId, budget: Duration) -> Outcome {
    restored(context, id, budget).await.unwrap_or_else(Outcome::Failed)
}

async fn restored(context: &Context<'_>, id: &StepId, budget: Duration) -> Result<Outcome, Failure> {
    let head = context.head()?.clone();
    let Some(snapshot) = context.log.state().snapshot else {
        return Ok(Outcome::Unverified(Gap::NotRun { because: "there is no snapshot of this run".into() }));
    };
    let all = snapshot_ids(&abra(context, &Call::BackupSnapshots { domain: head.domain.clone() }).await?);
    if !all.last().is_some_and(|newest| same_snapshot(newest, &snapshot)) {
        let what = format!("the newest snapshot of the app, {} instead of {snapshot}", all.last().map_or("none", String::as_str));
        return Ok(Outcome::Unverified(Gap::Interfered { what }));
    }
    if let Some(outcome) = still(context, id, &head, STILL.min(budget)).await {
        return Ok(outcome);
    }
    let backed = match context.running_resolved().await? {
        Ok(resolved) => Backed::of(&resolved),
        Err(what) => return Ok(Outcome::Unverified(Gap::ResolverDisagrees { what })),
    };
    let claim = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let restore = |hooks| Call::Restore { domain: head.domain.clone(), hooks };
    let patience = ABRA_PATIENCE.max(budget / 2);
    // Some versions of abra run a restore's hooks only when told to, others do not know the option.
    let done = match context.ports.abra.call(&restore(true), Some(&claim), patience).await {
        Err(AbraError::Fatal { reason, .. }) if unknown_option(&reason) => {
            let text = "this abra does not know -H; the hooks of the restore ran, or not, by its own choice".to_owned();
            context.log.note(Note::Remark { text });
            context.ports.abra.call(&restore(false), Some(&claim), patience).await
        }
        done => {
            if done.is_ok() && backed.restore_hooks {
                let text = "the restore was asked for its hooks (-H), which abra leaves out otherwise".to_owned();
                context.log.note(Note::Remark { text });
            }
            done
        }
    };
    if let Err(error) = done {
        return Ok(Outcome::Failed(refused(error)));
    }
    let outcome = still(context, id, &head, budget).await.unwrap_or(Outcome::Passed);
    check(context, id, "all services stand again after the restore", &outcome);
    Ok(outcome)
}

fn unknown_option(reason: &str) -> bool {
    ["unknown shorthand flag", "unknown flag", "flag provided but not defined", "unexpected argument"]
        .iter()
        .any(|said| reason.contains(said))
}

/// Has the backup service forget this run's snapshots.
pub(super) async fn forget(context: &Context<'_>) -> Outcome {
    let claims = context.log.claims();
    let Some(claim) = claims.iter().find(|claim| matches!(claim.what(), Claimed::Snapshots { .. })) else {
        return Outcome::Skipped(crate::model::outcome::SkipReason::Structural { lacks: "a snapshot".into() });
    };
    let data = &*context.ports.data;
    let snapshots = match data.snapshots(claim).await {
        Ok(snapshots) if snapshots.is_empty() => return Outcome::Passed,
        Ok(snapshots) => snapshots,
        Err(error) => return unread(&error),
    };
    match data.forget(claim, &snapshots).await {
        Ok(()) => Outcome::Passed,
        Err(error) => unread(&error),
    }
}

/// The backup service, when the host has one that runs.
async fn bot(context: &Context<'_>) -> Result<Result<ServiceName, Gap>, Failure> {
    let absent = |what: &str| Gap::ToolAbsent { what: what.to_owned() };
    let Some(service) = &context.host.backup else {
        return Ok(Err(absent(
            "the host file names no backup service; name it as `backup`, or leave the tiers out with --tiers",
        )));
    };
    let Ok(service) = service.parse::<ServiceName>() else {
        return Ok(Err(absent("`backup` in the host file is no name of a service")));
    };
    match context.ports.data.runs(&service).await? {
        true => Ok(Ok(service)),
        false => Ok(Err(absent(&format!("the backup service {service} does not run on this engine")))),
    }
}

async fn abra(context: &Context<'_>, call: &Call) -> Result<String, Failure> {
    Ok(context.ports.abra.call(call, None, ABRA_PATIENCE).await?.text)
}

/// Waits until nothing moves any more, which takes no time where all stands as it settled. The outcome when it does not come to that.
async fn still(context: &Context<'_>, id: &StepId, head: &Head, budget: Duration) -> Option<Outcome> {
    match context.ports.swarm.observe(&head.stack).await {
        Ok(services) if stable::restarted(&context.log.state().settled, &services).is_none() => return None,
        Ok(_) | Err(_) => {}
    }
    let mut last = BTreeMap::new();
    let (swarm, clock) = (&*context.ports.swarm, &*context.ports.clock);
    let evaluation = settle::settle(
        swarm,
        clock,
        &head.stack,
        Watch::new(Goal::Settle).with_one_shots(super::deploy::one_shots(context, head)),
        budget,
        |seen| {
            if let Seen::Looked(look, evaluation) = seen {
                last.clone_from(&look.services);
                context.log.saw_tasks(id, super::deploy::tasks(head, &look.services));
                context.log.observe(id, super::deploy::waiting_for(head, evaluation));
            }
        },
    )
    .await;
    match evaluation {
        Evaluation::Settled { .. } | Evaluation::Waiting { .. } => {
            context.log.note(Note::Settled { tasks: stable::running(&last) });
            None
        }
        Evaluation::Failed(failures) => Some(super::deploy::worst(failures)),
        Evaluation::Unverified(gap) => Some(Outcome::Unverified(gap)),
    }
}

/// Whether an error may be gone at the next attempt.
fn passing(error: &AbraError) -> bool {
    let AbraError::Fatal { exchange, .. } = error else { return false };
    ["is not running", "409", "already locked", "unable to create lock"].iter().any(|said| exchange.text.contains(said))
}

/// A backup or restore that ends with an error is the recipe's fault when one of its hooks failed or a path is missing; else nobody
/// knows, and the service is what broke.
fn refused(error: AbraError) -> Failure {
    let text = match &error {
        AbraError::Fatal { exchange, .. } => exchange.text.clone(),
        _ => String::new(),
    };
    let failure = Failure::from(error);
    // The bot calls a hook a command.
    match ["hook", "the command", "Failed to run command", "does not exist", "no volume to back up", "holds nothing"]
        .iter()
        .any(|said| text.contains(said))
    {
        true => failure.owned_by(Owner::Recipe),
        false => failure,
    }
}
