//! What to remove now, decided from claims and the present inventory alone.
//!
//! The plan is level-triggered: it knows nothing of earlier removals, so the process that carries it out may be killed at any
//! moment and another one continues. The step `cleanup`, the guardian and the
//! janitor call this function.

pub mod progress;

use std::{collections::BTreeSet, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    model::object::{ObjectId, ObjectKind},
    pure::host::{
        claim::{Claim, Claimed},
        inventory::Inventory,
    },
};

/// One removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The object.
    pub object: ObjectId,
    /// Its name, which the claim covers.
    pub name: String,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object.kind, self.name)
    }
}

/// What to do now about the objects and files that claims cover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupPlan {
    /// The objects to remove now, each with the claim that covers it, in any order.
    pub remove: Vec<(Claim, Removal)>,
    /// The files and folders to remove now.
    pub files: Vec<(Claim, PathBuf)>,
    /// The apps whose snapshots are to be forgotten now.
    pub snapshots: Vec<Claim>,
    /// What goes later by itself, or once something else is gone.
    pub waiting: Vec<Left>,
    /// What others keep from being removed.
    pub blocked: Vec<Left>,
    /// Claims that cleanup must not act upon.
    pub refused: Vec<Left>,
    /// Whether this inventory shows nothing that is claimed.
    pub clean: bool,
}

/// Something that is left, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Left {
    /// What was claimed.
    pub claimed: Claimed,
    /// The object, in words: `volume shop_data`.
    pub what: String,
    /// Why.
    pub why: Why,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Why something is still there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// Services of the same stack are there and would bring it back.
    ServicesFirst,
    /// Its node has not ended the task yet.
    TaskEnding,
    /// Something uses it.
    UsedBy {
        /// What uses it, in words.
        holders: Vec<String>,
    },
    /// Other objects of the run are there, and this one goes last.
    OthersFirst,
    /// It has the label of the run's stack but not its name, and such a label can be on the object of another owner.
    LabelOnly,
    /// The claim is for another Swarm.
    OtherSwarm {
        /// The Swarm that it is for.
        claimed: String,
    },
    /// The claim cannot be right.
    Flawed {
        /// What is wrong with it.
        flaw: String,
    },
    /// The engine or the system refused to remove it the last time.
    Refused {
        /// Its sentence.
        message: String,
    },
    /// The time was over before it was removed.
    OutOfTime,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::ServicesFirst => write!(f, "services of its stack are still there"),
            Why::TaskEnding => write!(f, "its node has not ended it yet"),
            Why::UsedBy { holders } => write!(f, "used by {}", holders.join(", ")),
            Why::OthersFirst => write!(f, "it goes after everything else of the run"),
            Why::LabelOnly => write!(f, "it has the stack's label but not its name"),
            Why::OtherSwarm { claimed } => write!(f, "it is on the Swarm {claimed}, which this engine does not belong to"),
            Why::Flawed { flaw } => write!(f, "{flaw}"),
            Why::Refused { message } => write!(f, "{message}"),
            Why::OutOfTime => write!(f, "the time was over before it was removed"),
        }
    }
}

/// The plan for one run's claims: services; then containers by force; then networks, volumes, secrets and configs that nothing
/// uses; then files; last the marker.
pub fn cleanup_plan(claims: &[Claim], inventory: &Inventory) -> CleanupPlan {
    let mut plan = CleanupPlan::default();
    let mut accepted = Vec::new();
    for claim in claims {
        match refusal(claim, inventory) {
            Some(why) => plan.refused.push(left(claim, claim.what().to_string(), why)),
            None => accepted.push(claim),
        }
    }
    accepted.sort_by_key(|claim| (rank(claim.what()), claim.what()));
    accepted.dedup();
    for claim in accepted {
        match claim.what() {
            Claimed::Stack { .. } => stack(claim, claims, inventory, &mut plan),
            Claimed::EnvFile { path } | Claimed::Dir { path } => file(claim, path, inventory, &mut plan),
            Claimed::Snapshots { app, .. } => {
                if inventory.snapshots.get(app).is_some_and(|ids| !ids.is_empty()) {
                    plan.snapshots.push(claim.clone());
                }
            }
            Claimed::Marker { .. } => marker(claim, inventory, &mut plan),
        }
    }
    plan.clean = plan.remove.is_empty()
        && plan.files.is_empty()
        && plan.snapshots.is_empty()
        && plan.waiting.is_empty()
        && plan.blocked.is_empty()
        && plan.refused.is_empty();
    plan
}

fn rank(claimed: &Claimed) -> u8 {
    match claimed {
        Claimed::Stack { .. } => 0,
        Claimed::Snapshots { .. } => 1,
        Claimed::EnvFile { .. } => 2,
        Claimed::Dir { .. } => 3,
        Claimed::Marker { .. } => 4,
    }
}

fn refusal(claim: &Claim, inventory: &Inventory) -> Option<Why> {
    if claim.engine() != &inventory.engine {
        return Some(Why::OtherSwarm { claimed: claim.engine().to_string() });
    }
    claim.what().flaw().map(|flaw| Why::Flawed { flaw: flaw.to_owned() })
}

fn left(claim: &Claim, what: String, why: Why) -> Left {
    Left { claimed: claim.what().clone(), what, why }
}

fn stack(claim: &Claim, claims: &[Claim], inventory: &Inventory, plan: &mut CleanupPlan) {
    let ours: Vec<&ObjectId> = inventory.objects.keys().filter(|id| claim.covers(inventory, id)).collect();
    let services = ours.iter().any(|id| id.kind == ObjectKind::Service);
    for id in ours {
        let held = match id.kind {
            ObjectKind::Service => None,
            ObjectKind::Task => Some(Why::TaskEnding),
            // Swarm starts another container for one that is taken from a living service.
            _ if services => Some(Why::ServicesFirst),
            ObjectKind::Container => None,
            ObjectKind::Network | ObjectKind::Volume | ObjectKind::Secret | ObjectKind::Config => {
                let users: Vec<&ObjectId> =
                    inventory.objects.iter().filter(|(_, other)| other.uses.contains(id)).map(|(user, _)| user).collect();
                let foreign = |user: &&ObjectId| !claims.iter().any(|claim| claim.covers(inventory, user));
                let strangers: Vec<String> = users.iter().copied().filter(foreign).map(|user| inventory.describe(user)).collect();
                if !strangers.is_empty() {
                    plan.blocked.push(left(claim, inventory.describe(id), Why::UsedBy { holders: strangers }));
                    continue;
                }
                (!users.is_empty())
                    .then(|| Why::UsedBy { holders: users.into_iter().map(|user| inventory.describe(user)).collect() })
            }
        };
        match held {
            Some(why) => plan.waiting.push(left(claim, inventory.describe(id), why)),
            None => plan.remove.push((claim.clone(), removal(inventory, id))),
        }
    }
    let Claimed::Stack { name } = claim.what() else { return };
    for (id, object) in &inventory.objects {
        if object.stack.as_ref() == Some(name) && !claim.covers(inventory, id) {
            plan.blocked.push(left(claim, inventory.describe(id), Why::LabelOnly));
        }
    }
}

/// A file goes once no object of the run's stacks is to be removed any more: until then abra knows the app by it. Objects that
/// others block do not keep it.
fn file(claim: &Claim, path: &PathBuf, inventory: &Inventory, plan: &mut CleanupPlan) {
    if !inventory.files.contains_key(path) {
        return;
    }
    match pending(plan) {
        true => plan.waiting.push(left(claim, claim.what().to_string(), Why::OthersFirst)),
        false => plan.files.push((claim.clone(), path.clone())),
    }
}

fn pending(plan: &CleanupPlan) -> bool {
    let of_a_stack = |claimed: &Claimed| matches!(claimed, Claimed::Stack { .. });
    plan.remove.iter().any(|(claim, _)| of_a_stack(claim.what())) || plan.waiting.iter().any(|left| of_a_stack(&left.claimed))
}

/// The marker shows other machines which run the rest belongs to, so it stays as long as anything else does.
fn marker(claim: &Claim, inventory: &Inventory, plan: &mut CleanupPlan) {
    let Some(id) = inventory.objects.keys().find(|id| claim.covers(inventory, id)) else { return };
    let rest = !(plan.remove.is_empty()
        && plan.files.is_empty()
        && plan.snapshots.is_empty()
        && plan.waiting.is_empty()
        && plan.blocked.is_empty());
    match rest {
        true => plan.waiting.push(left(claim, inventory.describe(id), Why::OthersFirst)),
        false => plan.remove.push((claim.clone(), removal(inventory, id))),
    }
}

fn removal(inventory: &Inventory, id: &ObjectId) -> Removal {
    let name = inventory.objects.get(id).map_or_else(|| id.id.clone(), |object| object.name.clone());
    Removal { object: id.clone(), name }
}

/// The claims of which nothing is left, by this plan.
pub fn released(claims: &[Claim], plan: &CleanupPlan) -> BTreeSet<Claimed> {
    let removing = plan.remove.iter().map(|(claim, _)| claim.what());
    let files = plan.files.iter().map(|(claim, _)| claim.what());
    let rest = plan.waiting.iter().chain(&plan.blocked).chain(&plan.refused).map(|left| &left.claimed);
    let snapshots = plan.snapshots.iter().map(Claim::what);
    let held: BTreeSet<&Claimed> = removing.chain(files).chain(snapshots).chain(rest).collect();
    claims.iter().map(Claim::what).filter(|what| !held.contains(what)).cloned().collect()
}

#[cfg(test)]
mod tests;
