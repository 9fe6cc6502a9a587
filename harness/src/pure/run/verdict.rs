//! From a run's state to its verdict and exit code. Pure.

use crate::pure::run::outcomes::{lint_outcome, tier_outcome};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        outcome::{Failure, Gap, Outcome, Owner, SkipReason, Subject, Tier},
        pack::Weight,
        refusal::Refusal,
        rung::Rung,
    },
    pure::run::{
            event::Cancel,
            plan::{Plan, Step},
            state::{CleanedAfter, RunState},
            thorough,
        },
};

/// What a run says about its recipe. It speaks of the tiers that were asked for, and of no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The colour.
    pub outcome: VerdictOutcome,
    /// The tiers that it speaks of.
    pub tiers: Vec<Tier>,
    /// Why it is not green, the worst first; empty when it is.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers: Vec<&str> = self.tiers.iter().map(|tier| tier.name()).collect();
        write!(f, "{} ({})", self.outcome.name(), tiers.join(", "))
    }
}

/// A verdict's colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictOutcome {
    /// Everything that was asked for ran and passed.
    Green,
    /// The recipe failed.
    Red,
    /// Nothing is proved either way.
    Inconclusive,
}

impl VerdictOutcome {
    /// The colour's name in results.
    pub fn name(self) -> &'static str {
        match self {
            VerdictOutcome::Green => "green",
            VerdictOutcome::Red => "red",
            VerdictOutcome::Inconclusive => "inconclusive",
        }
    }
}

/// One reason why a verdict is not green.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The tier, when it is one tier's.
    pub tier: Option<Tier>,
    /// Whose fault it is; absent when something merely was not verified.
    pub owner: Option<Owner>,
    /// One sentence.
    pub sentence: String,
    /// What the failing thing itself said last, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<String>,
}

impl Reason {
    fn nobodys(tier: Option<Tier>, sentence: impl Into<String>) -> Self {
        Self { tier, owner: None, sentence: sentence.into(), excerpt: Vec::new() }
    }
}

/// Lint is required: errors that head introduced make the verdict red, and one that did not come to its end proves nothing. What was
/// wrong before, or may have been, is advice.
fn lint_reason(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(Gap::Incomparable { .. }) => None,
        Outcome::Failed(failure) => Some(blame(None, &failure)),
        Outcome::Unverified(why) => Some(Reason::nobodys(None, format!("lint is not verified: {}", gap(&why)))),
    }
}

/// The verdict about the recipe, after design section 6: what the recipe did wrong makes it red, what anybody else did wrong
/// and what was not verified makes it inconclusive.
pub fn verdict(state: &RunState) -> Verdict {
    let tiers: Vec<Tier> = state.begun.iter().flat_map(|begun| begun.request.tiers.iter().copied()).collect();
    let mut reasons = Vec::new();
    // Why the run ended early stands before what is not verified because of it.
    reasons.extend(state.cancel.iter().map(cancelled));
    match &state.plan {
        None => reasons.push(Reason::nobodys(None, "the run ended before it had a plan")),
        Some(Plan { refusal: Some(Refusal::Request { sentence }), .. }) => {
            reasons.push(Reason::nobodys(None, sentence.clone()));
        }
        Some(Plan { refusal: Some(Refusal::Policy { sentences }), .. }) => {
            reasons.extend(sentences.iter().map(|sentence| Reason::nobodys(None, sentence.clone())));
        }
        Some(Plan { refusal: Some(Refusal::Facts(failure)), .. }) => reasons.push(blame(None, failure)),
        Some(plan) => {
            let counts = |rung: Rung| plan.pack.settings.rungs.get(&rung) != Some(&Weight::Advisory);
            let counted = tiers.iter().copied().filter(|tier| counts(Rung::of(*tier)));
            reasons.extend(counted.filter_map(|tier| match tier_outcome(plan, state, tier) {
                Outcome::Passed => None,
                Outcome::Failed(failure) => Some(blame(Some(tier), &failure)),
                Outcome::Skipped(SkipReason::Structural { .. } | SkipReason::NotApplicable { .. } | SkipReason::NotAsked) => None,
                Outcome::Skipped(SkipReason::Filtered { by }) => Some(Reason::nobodys(
                    Some(tier),
                    format!("{tier} is not verified: it was left out by the choice of tests ({by})"),
                )),
                Outcome::Unverified(why) => Some(Reason::nobodys(Some(tier), format!("{tier} is not verified: {}", gap(&why)))),
            }));
            reasons.extend(lint_outcome(plan, state).filter(|_| counts(Rung::Lint)).and_then(lint_reason));
            reasons.extend(match thorough::outcome(plan, state) {
                None | Some(Outcome::Passed | Outcome::Skipped(_)) => None,
                Some(Outcome::Failed(failure)) => Some(blame(None, &failure)),
                Some(Outcome::Unverified(why)) => {
                    Some(Reason::nobodys(None, format!("what --thorough adds is not verified: {}", gap(&why))))
                }
            });
            let planned = plan.steps.iter().filter(|planned| matches!(planned.step, Step::Deploy { .. })).count();
            if state.deploys as usize > planned {
                let sentence =
                    format!("the app was deployed {} times and not {planned}; this is a defect of taster", state.deploys);
                reasons.push(Reason { owner: Some(Owner::Harness), ..Reason::nobodys(None, sentence) });
            }
        }
    }
    // A defect of ours outweighs what it may have caused; else the recipe's own failure is the news.
    reasons.sort_by_key(|reason| match reason.owner {
        Some(Owner::Harness) => 0,
        Some(Owner::Recipe) => 1,
        Some(Owner::Dependency | Owner::Infrastructure | Owner::Test) => 2,
        None => 3,
    });
    let outcome = match reasons.first() {
        None => VerdictOutcome::Green,
        Some(Reason { owner: Some(Owner::Recipe), .. }) => VerdictOutcome::Red,
        Some(_) => VerdictOutcome::Inconclusive,
    };
    Verdict { outcome, tiers, reasons }
}

/// The verdict at this moment. Of a run that has not ended it is the one that a reader must take who finds nothing after it: what
/// has not ended was killed, and nothing is green.
pub fn verdict_so_far(state: &RunState) -> Verdict {
    if state.finished.is_some() {
        return verdict(state);
    }
    let mut state = state.clone();
    for step in state.steps.values_mut() {
        let at = step.began;
        step.ended.get_or_insert((at, Outcome::Unverified(Gap::Killed)));
    }
    let mut so_far = verdict(&state);
    if let Some(after) = &state.swept_after {
        // What the recipe did wrong before stays the news; else this is why nothing more is known.
        let at = so_far.reasons.iter().position(|reason| reason.owner.is_none()).unwrap_or(so_far.reasons.len());
        so_far.reasons.insert(at, Reason::nobodys(None, killed(after)));
    }
    if so_far.outcome == VerdictOutcome::Green {
        so_far.outcome = VerdictOutcome::Inconclusive;
        if so_far.reasons.is_empty() {
            so_far.reasons.push(Reason::nobodys(None, "the run has not come to its end"));
        }
    }
    so_far
}

/// That a run was killed, and what became of what it had made.
fn killed(after: &CleanedAfter) -> String {
    let things = if after.removed == 1 { "1 thing" } else { &format!("{} things", after.removed) };
    let removed = format!("the run was killed; its {} removed {things} after it", after.by.name());
    match after.left.as_slice() {
        [] => format!("{removed}, and nothing is left"),
        left => format!("{removed}, and could not remove: {}", left.join("; ")),
    }
}

fn blame(tier: Option<Tier>, failure: &Failure) -> Reason {
    Reason { tier, owner: Some(failure.owner), sentence: failure.message.clone(), excerpt: failure.excerpt.clone() }
}

/// Why nothing is proved, in words.
pub fn gap(gap: &Gap) -> String {
    match gap {
        Gap::NotRun { because } => because.clone(),
        Gap::Interfered { what } => format!("somebody else changed {what}"),
        Gap::ResolverDisagrees { what } => format!("the recipe's files were read otherwise than they were deployed: {what}"),
        Gap::NoChange => "head asks for nothing else than what it replaces, so nothing was upgraded".into(),
        Gap::NotHead { subject: Subject::Base } => "it was done on base, for head does not run".into(),
        Gap::NotHead { subject: Subject::Head | Subject::Mixed } => "it was done on a mixture of base and head".into(),
        Gap::ToolAbsent { what } | Gap::Incomparable { what } | Gap::Unread { what } => what.clone(),
        Gap::Killed => "the run was ended before".into(),
    }
}

fn cancelled(cancel: &Cancel) -> Reason {
    match cancel {
        Cancel::Signal { signal } => Reason::nobodys(None, format!("the run was ended by signal {signal}")),
        Cancel::Deadline => Reason::nobodys(None, "the run was ended at its deadline"),
        Cancel::Journal { message } => Reason {
            owner: Some(Owner::Infrastructure),
            ..Reason::nobodys(None, format!("the journal cannot be written: {message}"))
        },
        Cancel::Defect { failure } => blame(None, failure),
    }
}

/// The exit code of a run, after design section 6; the first that applies: 128+n on signal n, 6 when taster itself failed, 4
/// when something is left or was changed or was not seen to be gone, 2 when the request was refused, 1 red, 3 inconclusive, 5 nothing ran, 0 green.
pub fn exit_code(state: &RunState) -> u8 {
    let verdict = verdict(state);
    let refused = matches!(&state.plan, Some(Plan { refusal: Some(Refusal::Request { .. } | Refusal::Policy { .. }), .. }));
    // What is still claimed in the end was not seen to be gone, whoever could not look.
    let released = state.finished.is_none() || state.kept.is_some() || state.claims.is_empty();
    let clean = released && state.cleanup_result.as_ref().is_none_or(|cleanup_result| cleanup_result.clean());
    match (&state.cancel, verdict.outcome) {
        (Some(Cancel::Signal { signal }), _) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        _ if verdict.reasons.first().is_some_and(|reason| reason.owner == Some(Owner::Harness)) => 6,
        _ if !clean => 4,
        _ if refused => 2,
        (_, VerdictOutcome::Red) => 1,
        (_, VerdictOutcome::Inconclusive) => 3,
        _ if verdict.tiers.is_empty() => 5,
        (_, VerdictOutcome::Green) => 0,
    }
}
