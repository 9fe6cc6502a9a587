//! Carries a cleanup out: observes, plans, removes, until two inventories in a row show nothing.
//!
//! Each round starts from a fresh inventory and the claims alone, so a cleanup that is killed is continued by any other process.
//! What to do in a round decides [`Progress`].

use std::path::PathBuf;

use futures_util::future::join_all;

use crate::{
    model::{engine::SwarmError, text::with_causes},
    ports::{Child, Children, Clock, Data, Files, Ports, Swarm},
    pure::host::{
        claim::{Claim, Claimed},
        cleanup_plan::{
            CleanupPlan, cleanup_plan,
            progress::{Actions, Forgotten, NextAction, Observed, Progress, Removed},
        },
        inventory::Inventory,
    },
};

pub use crate::pure::host::cleanup_plan::progress::{CleanupReport, IN_FLIGHT, Pace};

/// The ports that a cleanup acts through.
#[derive(Clone, Copy)]
pub struct CleanupPorts<'a> {
    /// The engine.
    pub swarm: &'a dyn Swarm,
    /// The claimed files.
    pub files: &'a dyn Files,
    /// The claimed snapshots.
    pub data: &'a dyn Data,
    /// The run's children.
    pub children: &'a dyn Children,
    /// The time that budgets are counted by.
    pub clock: &'a dyn Clock,
}

impl<'a> CleanupPorts<'a> {
    /// Those of a run.
    pub fn of(ports: &'a Ports) -> Self {
        Self { swarm: &*ports.swarm, files: &*ports.files, data: &*ports.data, children: &*ports.children, clock: &*ports.clock }
    }
}

/// Removes everything that `claims` cover: ends the children first, because they go on making objects, then removes until nothing
/// is left, nothing but what others block is left, or the budget is used up.
///
/// All claims are of one run. An engine that does not answer is asked again until the budget is used up; its last error is
/// returned only when it never answered.
pub async fn cleanup_until_empty(
    ports: CleanupPorts<'_>,
    claims: &[Claim],
    children: &[Child],
    pace: Pace,
) -> Result<CleanupReport, SwarmError> {
    cleanup_until_empty_by(cleanup_plan, ports, claims, children, pace).await
}

/// [`cleanup_until_empty`] with another plan: for a part of the claimed objects, and for tests that show what a wrong one does.
pub async fn cleanup_until_empty_by(
    plan: impl Fn(&[Claim], &Inventory) -> CleanupPlan,
    ports: CleanupPorts<'_>,
    claims: &[Claim],
    children: &[Child],
    pace: Pace,
) -> Result<CleanupReport, SwarmError> {
    let mut progress = Progress::new(claims, pace, ports.clock.mono());
    end_children(ports, children, pace, &mut progress).await;
    let watched: Vec<PathBuf> = claims.iter().filter_map(path).collect();
    loop {
        let began = ports.clock.mono();
        let observed = match ports.swarm.inventory().await {
            Err(error) => Observed::NoAnswer(error),
            Ok(mut inventory) => {
                if !progress.has_observed() {
                    wait_for_restores(ports, claims, &mut progress).await;
                }
                inventory.files = ports.files.digests(&watched);
                inventory.snapshots.clone_from(progress.snapshots());
                Observed::Plan(plan(claims, &inventory))
            }
        };
        let pause = match progress.next(began, ports.clock.mono(), observed) {
            NextAction::Done(report) => return report,
            NextAction::Wait(pause) => pause,
            NextAction::Act(actions) => {
                let removed = remove(ports, &actions).await;
                let forgotten = forget(ports, &actions.snapshots).await;
                progress.performed(removed, forgotten)
            }
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

fn path(claim: &Claim) -> Option<PathBuf> {
    match claim.what() {
        Claimed::EnvFile { path } | Claimed::Dir { path } => Some(path.clone()),
        Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => None,
    }
}

async fn end_children(ports: CleanupPorts<'_>, children: &[Child], pace: Pace, progress: &mut Progress<'_>) {
    let ended = join_all(children.iter().map(|child| ports.children.end(child, pace.blocked_timeout))).await;
    for (child, ended) in children.iter().zip(ended) {
        match ended {
            Ok(()) => progress.child_ended(child.pid),
            Err(error) => progress.still_acts(with_causes(&error)),
        }
    }
}

/// Waits for restores that go on in a backup service although their abra is dead; their volumes must not be removed before. A
/// restore whose state cannot be read is reported and delays nothing.
async fn wait_for_restores(ports: CleanupPorts<'_>, claims: &[Claim], progress: &mut Progress<'_>) {
    for claim in claims {
        let Claimed::Snapshots { app, .. } = claim.what() else { continue };
        let mut ended = ports.data.restored(claim).await;
        if ended.is_err() {
            ended = ports.data.restored(claim).await;
        }
        if let Err(error) = ended {
            progress.still_acts(format!("a restore of {app} may still go on: {error}"));
        }
    }
}

/// Removes the objects, all at the same time, and then the files.
async fn remove(ports: CleanupPorts<'_>, actions: &Actions) -> Vec<Removed> {
    let results = join_all(actions.remove.iter().map(|(claim, removal)| ports.swarm.remove(claim, removal))).await;
    let objects = actions.remove.iter().zip(results).map(|((_, removal), result)| Removed {
        what: removal.to_string(),
        object: Some(removal.object.clone()),
        refusal: result.err().map(|error| error.to_string()),
    });
    let files = actions.files.iter().map(|(claim, path)| Removed {
        what: claim.what().to_string(),
        object: None,
        refusal: ports.files.remove(claim, path).err().map(|error| with_causes(&error)),
    });
    objects.chain(files).collect()
}

/// Has the backup service forget the snapshots of each claimed app, and lists what is left.
async fn forget(ports: CleanupPorts<'_>, claims: &[Claim]) -> Vec<(Claim, Forgotten)> {
    let mut forgotten = Vec::new();
    for claim in claims {
        let result = match ports.data.snapshots(claim).await {
            Err(error) => Forgotten::Unlisted(error.to_string()),
            Ok(ids) if ids.is_empty() => Forgotten::Listed { before: 0, left: ids },
            Ok(ids) => {
                let left = match ports.data.forget(claim, &ids).await {
                    Ok(()) => ports.data.snapshots(claim).await,
                    Err(error) => Err(error),
                };
                match left {
                    Ok(left) => Forgotten::Listed { before: ids.len(), left },
                    Err(error) => Forgotten::Refused(error.to_string()),
                }
            }
        };
        forgotten.push((claim.clone(), result));
    }
    forgotten
}
