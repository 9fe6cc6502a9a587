//! Has the backup service make a snapshot of the app, and verifies what it holds.

use std::time::Duration;

use super::shared::{
    ABRA_TIMEOUT,
    backup_service::{ATTEMPTS, STILL_TIMEOUT, is_transient, read, refused, wait_until_still},
    context::StepContext,
};
use crate::{
    model::{
        head::Head,
        names::ServiceName,
        outcome::{Cause, Failure, Gap, Outcome},
    },
    ports::Call,
    pure::{
        host::claim::Claimed,
        recipe::{
            backup::{Backed, Coverage, listed, same_snapshot, snapshot_id, snapshot_ids},
            canary::{self, Canary, FILES},
            compose::Resolved,
        },
        run::{
            event::{Kind, Note},
            plan::StepId,
        },
    },
};

pub(super) async fn backup(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Outcome {
    make_snapshot(context, id, budget).await.unwrap_or_else(Outcome::Failed)
}

async fn make_snapshot(context: &StepContext<'_>, id: &StepId, budget: Duration) -> Result<Outcome, Failure> {
    let head = context.head()?.clone();
    let service = match backup_service(context).await? {
        Ok(service) => service,
        Err(gap) => return Ok(Outcome::Unverified(gap)),
    };
    if let Some(outcome) = wait_until_still(context, id, &head, STILL_TIMEOUT.min(budget)).await {
        return Ok(outcome);
    }
    let resolved = match context.running_resolved().await? {
        Ok(resolved) => resolved,
        Err(error) => return Ok(Outcome::Unverified(Gap::Unresolved { what: error.to_string() })),
    };
    for text in canary::copied_while_running(&resolved, &context.pack) {
        context.log.record(Kind::Warned { text });
    }
    let claim = context.claim(Claimed::Snapshots { app: head.domain.clone(), service })?;
    let call = Call::BackupCreate { domain: head.domain.clone() };
    let mut attempt = 1;
    let printed = loop {
        match context.ports.abra.call(&call, Some(&claim), ABRA_TIMEOUT.max(budget / 2)).await {
            Ok(exchange) => break exchange.text,
            Err(error) if attempt < ATTEMPTS && is_transient(&error) => {
                context.log.record(Kind::Warned { text: format!("backup attempt {attempt}: {error}") });
                attempt += 1;
                if let Some(outcome) = wait_until_still(context, id, &head, STILL_TIMEOUT.min(budget)).await {
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
    let all = snapshot_ids(&read(context, &Call::BackupSnapshots { domain: head.domain.clone() }).await?);
    let made = match all.iter().any(|one| same_snapshot(one, &snapshot)) {
        true => Outcome::Passed,
        false => empty(format!("snapshot {snapshot} is not among the snapshots of the app")),
    };
    context.check(id, "the backup service has a snapshot of this run", &made);
    if !made.passed() {
        return Ok(made);
    }
    context.log.note(Note::Snapshot { id: snapshot.clone() });
    let outcome = verify_content(context, &head, &snapshot, &resolved).await?;
    context.check(id, "the snapshot holds what the labels name", &outcome);
    Ok(outcome)
}

/// Whether the snapshot has the canaries of whole volumes and something at each path that the labels name.
async fn verify_content(context: &StepContext<'_>, head: &Head, snapshot: &str, resolved: &Resolved) -> Result<Outcome, Failure> {
    let backed = Backed::of(resolved);
    let (domain, id) = (head.domain.clone(), snapshot.to_owned());
    let files = read(context, &Call::BackupList { domain: domain.clone(), snapshot: id.clone() }).await?;
    let state = context.log.state();
    let seeded: Vec<&Canary> = state.canaries.iter().filter(|state| state.sound()).map(|state| &state.canary).collect();
    for (volume, name) in canary::of_volumes(resolved) {
        let canary = Canary::File { volume: volume.clone(), name: name.clone() };
        match backed.coverage(&volume) {
            Coverage::Whole if seeded.contains(&&canary) && FILES.iter().any(|file| listed(&files, &name, file).is_none()) => {
                return Ok(empty(format!("snapshot {snapshot} lacks a file that was seeded in volume {volume}")));
            }
            Coverage::Whole | Coverage::Excluded => {}
            Coverage::Paths { paths } => {
                for path in paths {
                    let Some(whole) = listed(&files, &name, &path) else {
                        return Ok(empty(format!("snapshot {snapshot} has no {path} of volume {volume}")));
                    };
                    match downloaded_size(context, head, snapshot, whole).await? {
                        Ok(0) => return Ok(empty(format!("{path} of volume {volume} is empty in snapshot {snapshot}"))),
                        Ok(_) => {}
                        Err(gap) => return Ok(Outcome::Unverified(gap)),
                    }
                }
            }
        }
    }
    Ok(Outcome::Passed)
}

/// The size of the files that a snapshot has at `path`, in bytes. The service keeps the last archive for all apps in one place,
/// so another run may replace it in between; then the download is tried again.
async fn downloaded_size(
    context: &StepContext<'_>,
    head: &Head,
    snapshot: &str,
    path: String,
) -> Result<Result<u64, Gap>, Failure> {
    let call = Call::BackupDownload { domain: head.domain.clone(), snapshot: snapshot.to_owned(), path: path.clone() };
    for _ in 0..ATTEMPTS {
        read(context, &call).await?;
        // A download that another one replaced meanwhile may not be an archive.
        match context.ports.abra.downloaded(&path).await {
            Ok(Some(size)) => return Ok(Ok(size)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, path, "the downloaded archive cannot be read"),
        }
    }
    let what = format!("abra downloaded something other than {path} of snapshot {snapshot} in all {ATTEMPTS} attempts");
    Ok(Err(Gap::Unread { what }))
}

fn empty(sentence: String) -> Outcome {
    Outcome::Failed(Failure::new(Cause::BackupEmpty, sentence))
}

/// The backup service, when the host has one that runs.
async fn backup_service(context: &StepContext<'_>) -> Result<Result<ServiceName, Gap>, Failure> {
    let absent = |what: &str| Gap::ToolAbsent { what: what.to_owned() };
    let Some(service) = &context.host.backup else {
        return Ok(Err(absent(
            "the host file names no backup service; name it as `backup`, or leave the tiers out with --tiers",
        )));
    };
    let Ok(service) = service.parse::<ServiceName>() else {
        return Ok(Err(absent("`backup` in the host file is not a valid name of a service")));
    };
    match context.ports.data.runs(&service).await? {
        true => Ok(Ok(service)),
        false => Ok(Err(absent(&format!("the backup service {service} does not run on this engine")))),
    }
}
