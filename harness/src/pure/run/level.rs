//! The rungs and the level of a run, derived from its state.
//!
//! The ladder follows docs/explanation/predecessor.md: install, upgrade, backup and restore, custom tests, lint. A rung counts
//! only when it ran and passed; a rung that does not apply is climbed past; every other unverified rung blocks like a failure.

use std::fmt;

use crate::{
    model::{
        outcome::{Outcome, Owner, SkipReason, Status, Subject, Tier},
        pack::{TestKind, TestName},
        rung::Rung,
    },
    pure::{
        recipe::lint::list_faults,
        run::{
            outcomes::{lint_outcome, outcome_of_tier},
            plan::{Plan, Step},
            state::{RunState, StepState},
            verdict::{Verdict, format_gap},
        },
    },
};

/// The status of a rung, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RungStatus {
    /// The status.
    pub status: Status,
    /// What the reason is about: the rung, or the half of it that decides: `restore`.
    pub name: &'static str,
    /// The rest of a sentence that begins with that name: `was not asked for`.
    pub why: String,
}

/// The rungs of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rungs {
    /// Install.
    pub install: RungStatus,
    /// Upgrade.
    pub upgrade: RungStatus,
    /// Backup and restore.
    pub backup_restore: RungStatus,
    /// Custom tests.
    pub custom: RungStatus,
    /// Lint.
    pub lint: RungStatus,
}

impl Rungs {
    /// The status of a rung.
    pub fn of(&self, rung: Rung) -> &RungStatus {
        match rung {
            Rung::Install => &self.install,
            Rung::Upgrade => &self.upgrade,
            Rung::BackupRestore => &self.backup_restore,
            Rung::Custom => &self.custom,
            Rung::Lint => &self.lint,
        }
    }
}

/// How far a recipe has come, and why not further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The number of the highest rung that passed with no rung below it failed or unverified, from 0 to [`HIGHEST`]; 0 without
    /// such a rung.
    pub number: u8,
    /// Why it is not higher; `highest` at the highest level.
    pub reason: String,
}

/// The highest level.
pub const HIGHEST: u8 = 5;

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            HIGHEST => write!(f, "level {} ({})", self.number, self.reason),
            _ => write!(f, "level {}: {}", self.number, self.reason),
        }
    }
}

/// The rungs, each from the outcome of its tier. A rung that is not known to have passed, failed or not to apply is unverified:
/// not asked for, not planned, not run, cut off.
pub fn rungs(state: &RunState) -> Rungs {
    let unrun =
        |rung: Rung, why: &str| RungStatus { status: Status::Unver, name: rung.label(), why: format!("was not verified: {why}") };
    let tier = |tier| tier_status(state, tier);
    Rungs {
        install: tier(Tier::Install),
        upgrade: tier(Tier::Upgrade),
        backup_restore: both(tier(Tier::Backup), tier(Tier::Restore)),
        custom: match &state.plan {
            Some(plan)
                if plan.refusal.is_none()
                    && plan.pack.tests.is_empty()
                    && plan.skips.get(&Tier::Custom) == Some(&SkipReason::NotAsked) =>
            {
                unrun(Rung::Custom, "the recipe has no custom tests")
            }
            Some(plan) => custom_status(plan, state),
            None => tier(Tier::Custom),
        },
        lint: match &state.plan {
            None => unrun(Rung::Lint, "the run has no plan"),
            Some(Plan { refusal: Some(_), .. }) => unrun(Rung::Lint, "the run was refused"),
            Some(plan) => lint_status(plan, state),
        },
    }
}

/// The custom rung takes more than tests that passed: one that reads back what it created, and one of the app's distinctive
/// feature. A pack without them says too little about the app to carry the rung.
fn custom_status(plan: &Plan, state: &RunState) -> RungStatus {
    let tier = tier_status(state, Tier::Custom);
    if tier.status != Status::Pass {
        return tier;
    }
    let passed = |kind: TestKind| {
        let of_kind = |test: &TestName| plan.pack.tests.iter().any(|known| known.name == *test && known.kind == kind);
        plan.steps.iter().any(|planned| match &planned.step {
            Step::Custom { test } => {
                of_kind(test) && state.steps.get(&planned.id).and_then(StepState::outcome).is_some_and(Outcome::passed)
            }
            _ => false,
        })
    };
    let lacks: Vec<&str> = TestKind::CONVINCING.into_iter().filter(|kind| !passed(*kind)).map(TestKind::name).collect();
    match lacks.as_slice() {
        [] => tier,
        lacks => RungStatus {
            status: Status::Unver,
            why: format!("was not verified: no {} test passed", lacks.join(" and no ")),
            ..tier
        },
    }
}

/// Lint of head by all its errors, those of base included: the rung says that the recipe is free of errors, while the verdict
/// counts only those that head introduced. It is never skipped.
fn lint_status(plan: &Plan, state: &RunState) -> RungStatus {
    let (status, why) = match (lint_outcome(plan, state), state.lint.get(&Subject::Head)) {
        (None, _) => (Status::Unver, "did not run".into()),
        (Some(Outcome::Failed(failure)), _) if failure.owner != Owner::Recipe => {
            (Status::Unver, format!("was not verified: {}", failure.message))
        }
        (Some(Outcome::Failed(_)), None) => (Status::Fail, "failed".into()),
        (Some(Outcome::Passed), None) => (Status::Unver, "was not verified: nothing is known of the rules".into()),
        (Some(Outcome::Unverified(why)), None) => (Status::Unver, format!("was not verified: {}", format_gap(&why))),
        (Some(Outcome::Skipped(_)), None) => (Status::Unver, "was not verified: it was skipped".into()),
        (Some(_), Some(linted)) => match linted.errors() {
            errors if errors.is_empty() => (Status::Pass, "passed".into()),
            errors => (Status::Fail, format!("failed: {}", list_faults(&errors))),
        },
    };
    RungStatus { status, name: Rung::Lint.label(), why }
}

fn tier_status(state: &RunState, tier: Tier) -> RungStatus {
    let (status, why) = match outcome_of_tier(state, tier) {
        Outcome::Passed => (Status::Pass, "passed".into()),
        Outcome::Failed(_) => (Status::Fail, "failed".into()),
        Outcome::Skipped(reason @ (SkipReason::NotAsked | SkipReason::Filtered { .. })) => (Status::Unver, reason.sentence()),
        Outcome::Skipped(SkipReason::Structural { lacks }) => {
            (Status::Skip, format!("was skipped, because {}", SkipReason::there_is_no(&lacks)))
        }
        Outcome::Skipped(reason @ SkipReason::NotApplicable { .. }) => (Status::Skip, reason.sentence()),
        Outcome::Unverified(why) => (Status::Unver, format!("was not verified: {}", format_gap(&why))),
    };
    RungStatus { status, name: tier.name(), why }
}

/// The rung of two tiers: it fails if either fails, and passes only if both pass. The reason names the half that decides, and
/// both where both have it.
fn both(backup: RungStatus, restore: RungStatus) -> RungStatus {
    if (backup.status, &backup.why) == (restore.status, &restore.why) {
        return RungStatus { name: Rung::BackupRestore.label(), why: plural(&backup.why), ..backup };
    }
    let first = |wanted: Status| [&backup, &restore].into_iter().find(|half| half.status == wanted).cloned();
    first(Status::Fail).or_else(|| first(Status::Unver)).unwrap_or_else(|| {
        let why = "were not verified: only one of them ran".into();
        RungStatus { status: Status::Unver, name: Rung::BackupRestore.label(), why }
    })
}

/// The rest of a sentence about one thing, for two.
fn plural(why: &str) -> String {
    let of_two = [("was ", "were "), ("does ", "do ")];
    let changed = of_two.iter().find_map(|(one, two)| Some(format!("{two}{}", why.strip_prefix(one)?)));
    changed.unwrap_or_else(|| why.to_owned())
}

/// The level: the highest rung that passed while every lower one passed or was skipped. The reason names the lowest rung that
/// blocks.
pub fn level(rungs: &Rungs) -> Level {
    let climbed = Rung::ALL.into_iter().take_while(|rung| matches!(rungs.of(*rung).status, Status::Pass | Status::Skip));
    let number =
        climbed.zip(1..).filter(|(rung, _)| rungs.of(*rung).status == Status::Pass).last().map_or(0, |(_, number)| number);
    let blocking = Rung::ALL.into_iter().find(|rung| matches!(rungs.of(*rung).status, Status::Fail | Status::Unver));
    let reason = match blocking {
        Some(rung) => format!("{} {}", rungs.of(rung).name, rungs.of(rung).why),
        None if number == HIGHEST => "highest".into(),
        None => "the rungs above it were skipped".into(),
    };
    Level { number, reason }
}

/// The line on a run: its verdict with the tiers that were asked for and how they ended, and its level with why it is not higher:
/// `green (install), level 1: upgrade was not asked for`.
pub fn line(verdict: &Verdict, level: &Level) -> String {
    format!("{verdict}, {level}")
}
