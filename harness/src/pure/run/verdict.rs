//! The verdict and the exit code of a run, derived from its state.
//!
//! A verdict speaks of the tiers that were asked for. What the recipe did wrong makes it red; what anything else did wrong, and
//! what was not verified, makes it inconclusive.

use std::{cmp::Reverse, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        exit_code::ExitCode,
        outcome::{Failure, Gap, Outcome, Owner, SkipReason, Status, Subject, Tier},
        pack::Weight,
        refusal::Refusal,
        rung::Rung,
    },
    pure::run::{
        event::Cancel,
        outcomes::{lint_outcome, outcome_of_tier, tier_outcome},
        plan::{Plan, Step},
        severity::Severity,
        state::{CleanedAfter, RunState},
        thorough,
    },
};

/// The result of a run for its recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Green, red or inconclusive.
    pub outcome: VerdictOutcome,
    /// The tiers that it speaks of: those that were asked for, without the skipped ones.
    pub tiers: Vec<Tier>,
    /// How each tier that was asked for ended, in the order of a run. Results of earlier versions have none.
    #[serde(default)]
    pub ended: Vec<EndedTier>,
    /// Why it is not green, the most severe first; empty when it is green.
    pub reasons: Vec<Reason>,
}

/// How a tier ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedTier {
    /// The tier.
    pub tier: Tier,
    /// How it ended.
    pub status: Status,
    /// Why, in words; empty when it passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The most characters of a reason in the line of a verdict.
const LONGEST_WHY: usize = 100;

impl Verdict {
    /// The tiers with how they ended, in words: `install, backup; upgrade skipped: there is no older version`. A green verdict
    /// begins with the tiers that passed, any other one with those that did not. Why a tier failed is among the reasons.
    pub fn tiers_in_words(&self) -> String {
        if self.ended.is_empty() {
            return self.tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ");
        }
        let is_green = self.outcome == VerdictOutcome::Green;
        let mut groups: Vec<(Status, &str, Vec<&str>)> = Vec::new();
        for EndedTier { tier, status, why } in &self.ended {
            let why = if matches!(status, Status::Skip | Status::Unver) { why.as_str() } else { "" };
            match groups.iter_mut().find(|(known, because, _)| (known, *because) == (status, why)) {
                Some((_, _, tiers)) => tiers.push(tier.name()),
                None => groups.push((*status, why, vec![tier.name()])),
            }
        }
        groups.sort_by_key(|(status, ..)| match status {
            Status::Pass if is_green => 0,
            Status::Fail => 1,
            Status::Unver => 2,
            Status::Pass => 3,
            Status::Skip => 4,
        });
        let words = groups.into_iter().map(|(status, why, tiers)| {
            let tiers = tiers.join(", ");
            match status {
                Status::Pass if is_green => tiers,
                Status::Pass => format!("{tiers} passed"),
                Status::Fail if is_green => format!("{tiers} failed, which is advice"),
                Status::Fail => format!("{tiers} failed"),
                Status::Skip => format!("{tiers} skipped: {}", shortened(why)),
                Status::Unver => format!("{tiers} not verified: {}", shortened(why)),
            }
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

/// The first line of a text, as far as it fits into a line of verdicts.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST_WHY) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.outcome.name(), self.tiers_in_words())
    }
}

/// The outcome of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictOutcome {
    /// Everything that was asked for ran and passed.
    Green,
    /// The recipe failed.
    Red,
    /// The run proves nothing either way.
    Inconclusive,
}

impl VerdictOutcome {
    /// The name in results.
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
    /// The tier; absent when the reason is not about one tier.
    pub tier: Option<Tier>,
    /// Whose fault it is; absent when something was not verified and no failure explains it.
    pub owner: Option<Owner>,
    /// One sentence.
    pub sentence: String,
    /// The last output of what failed, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<String>,
}

impl Reason {
    fn without_owner(tier: Option<Tier>, sentence: impl Into<String>) -> Self {
        Self { tier, owner: None, sentence: sentence.into(), excerpt: Vec::new() }
    }

    fn failed(tier: Option<Tier>, failure: &Failure) -> Self {
        Self { tier, owner: Some(failure.owner), sentence: failure.message.clone(), excerpt: failure.excerpt.clone() }
    }

    fn not_verified(tier: Option<Tier>, what: &str, gap: &Gap) -> Self {
        Self::without_owner(tier, format!("{what} is not verified: {}", format_gap(gap)))
    }

    /// How much it decides. What is not verified comes last, because a failure may explain it.
    fn severity(&self) -> Severity {
        self.owner.map_or(Severity::Unverified, Severity::of_owner)
    }
}

/// The verdict of a run that has ended.
pub fn verdict(state: &RunState) -> Verdict {
    let asked: Vec<Tier> = state.begun.iter().flat_map(|begun| begun.request.tiers.iter().copied()).collect();
    let ended: Vec<EndedTier> = asked.iter().map(|tier| ended_tier(state, *tier)).collect();
    // Why the run ended early comes before what is not verified because of it.
    let mut reasons: Vec<Reason> = state.cancel.iter().flat_map(cancel_reasons).collect();
    match &state.plan {
        None => reasons.push(Reason::without_owner(None, "the run ended before it had a plan")),
        Some(Plan { refusal: Some(refusal), .. }) => reasons.extend(refusal_reasons(refusal)),
        Some(plan) => reasons.extend(plan_reasons(plan, state, &asked)),
    }
    reasons.sort_by_key(|reason| Reverse(reason.severity()));
    let outcome = match reasons.first() {
        None => VerdictOutcome::Green,
        Some(Reason { owner: Some(Owner::Recipe), .. }) => VerdictOutcome::Red,
        Some(_) => VerdictOutcome::Inconclusive,
    };
    let tiers = ended.iter().filter(|ended| ended.status != Status::Skip).map(|ended| ended.tier).collect();
    Verdict { outcome, tiers, ended, reasons }
}

fn ended_tier(state: &RunState, tier: Tier) -> EndedTier {
    let outcome = outcome_of_tier(state, tier);
    let why = match &outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Skipped(SkipReason::NotApplicable { because }) => because.clone(),
        Outcome::Skipped(reason) => reason.sentence(),
        Outcome::Unverified(gap) => format_gap(gap),
    };
    EndedTier { tier, status: Status::from(&outcome), why }
}

/// The verdict at this moment. A run that has not ended counts as killed, so that its verdict is true for a reader who finds
/// nothing after it; it is never green.
pub fn verdict_so_far(state: &RunState) -> Verdict {
    if state.finished.is_some() {
        return verdict(state);
    }
    let mut state = state.clone();
    for step in state.steps.values_mut() {
        let at = step.began;
        step.ended.get_or_insert((at, Outcome::Unverified(Gap::RunEnded)));
    }
    let mut so_far = verdict(&state);
    if let Some(after) = &state.cleaned_after {
        // A failure before the kill stays the first reason; otherwise the kill explains why nothing more is known.
        let at = so_far.reasons.iter().position(|reason| reason.owner.is_none()).unwrap_or(so_far.reasons.len());
        so_far.reasons.insert(at, Reason::without_owner(None, format_killed(after)));
    }
    if so_far.outcome == VerdictOutcome::Green {
        so_far.outcome = VerdictOutcome::Inconclusive;
        if so_far.reasons.is_empty() {
            so_far.reasons.push(Reason::without_owner(None, "the run has not ended"));
        }
    }
    so_far
}

/// The exit code of a run: the most severe of the codes that apply to it, by [`ExitCode::BY_PRECEDENCE`].
pub fn exit_code(state: &RunState) -> ExitCode {
    let verdict = verdict(state);
    let signal = match state.cancel {
        Some(Cancel::Signal { signal }) => Some(ExitCode::of_signal(signal)),
        Some(Cancel::Deadline | Cancel::Policy { .. } | Cancel::Journal { .. } | Cancel::Defect { .. }) | None => None,
    };
    let defect = verdict.reasons.first().is_some_and(|reason| reason.owner == Some(Owner::Harness));
    let refused = matches!(&state.plan, Some(Plan { refusal: Some(Refusal::Request { .. } | Refusal::Policy { .. }), .. }))
        || matches!(state.cancel, Some(Cancel::Policy { .. }));
    // What is still claimed at the end was not confirmed gone.
    let released = state.finished.is_none() || state.kept.is_some() || state.claims.is_empty();
    let clean = released && !lacks_comparison(state) && state.cleanup_result.as_ref().is_none_or(|result| result.clean());
    let applies = [
        signal,
        defect.then_some(ExitCode::Defect),
        (!clean).then_some(ExitCode::Leaked),
        refused.then_some(ExitCode::Usage),
        Some(match (verdict.tiers.is_empty(), verdict.outcome) {
            (true, VerdictOutcome::Green | VerdictOutcome::Inconclusive) => ExitCode::NothingRan,
            (true, VerdictOutcome::Red) | (false, _) => exit_code_of(verdict.outcome),
        }),
    ];
    ExitCode::worst(applies.into_iter().flatten()).unwrap_or(ExitCode::NothingRan)
}

/// Whether the inventories were compared with a result that the journal cannot give any more.
fn lacks_comparison(state: &RunState) -> bool {
    let steps = state.plan.iter().flat_map(|plan| &plan.steps).filter(|planned| planned.step == Step::CompareHost);
    let mut outcomes = steps.filter_map(|planned| state.steps.get(&planned.id)?.outcome());
    state.cleanup_result.is_none() && outcomes.any(Outcome::passed)
}

/// The exit code at this moment. A run that has not ended proves nothing, unless the recipe has failed already. A killed run
/// leaked what the cleanup after it could not remove, and may have leaked what it claims.
pub fn exit_code_so_far(state: &RunState) -> ExitCode {
    if state.finished.is_some() {
        return exit_code(state);
    }
    let leaked = !state.claims.is_empty() || state.cleaned_after.as_ref().is_some_and(|after| !after.left.is_empty());
    let of_verdict = exit_code_of(verdict_so_far(state).outcome);
    ExitCode::worst([leaked.then_some(ExitCode::Leaked), Some(of_verdict)].into_iter().flatten()).unwrap_or(of_verdict)
}

fn exit_code_of(outcome: VerdictOutcome) -> ExitCode {
    match outcome {
        VerdictOutcome::Green => ExitCode::Green,
        VerdictOutcome::Red => ExitCode::Red,
        VerdictOutcome::Inconclusive => ExitCode::Inconclusive,
    }
}

/// Why nothing is proved.
pub fn format_gap(gap: &Gap) -> String {
    match gap {
        Gap::NotRun { because } => because.clone(),
        Gap::ResolverDisagrees { what } => format!("the resolved compose files differ from the running services: {what}"),
        Gap::Unresolved { what } => format!("the compose files cannot be resolved: {what}"),
        Gap::NotPermitted { .. } => "the host's policy does not allow it".into(),
        Gap::NoBase { because } => format!("there is no base to upgrade from: {because}"),
        Gap::NoChange => "head deploys the same services as base, so nothing was upgraded".into(),
        Gap::NotHead { subject: Subject::Base } => "it was done on base, because head does not run".into(),
        Gap::NotHead { subject: Subject::Head | Subject::Mixed } => "it was done on a mixture of base and head".into(),
        Gap::Interfered { what } | Gap::ToolAbsent { what } | Gap::Incomparable { what } | Gap::Unread { what } => what.clone(),
        Gap::Unattributed { what } => format!("it is not certain that the app itself answers: {what}"),
        Gap::Sandbox { what } => format!("the sandbox's ingress leaves out what the labels ask for: {what}"),
        Gap::RunEnded => "the run ended before it did".into(),
    }
}

fn cancel_reasons(cancel: &Cancel) -> Vec<Reason> {
    vec![match cancel {
        Cancel::Signal { signal } => Reason::without_owner(None, format!("the run was ended by signal {signal}")),
        Cancel::Deadline => Reason::without_owner(None, "the run was ended at its deadline"),
        Cancel::Policy { sentences } => return sentences.iter().map(|text| Reason::without_owner(None, text.clone())).collect(),
        Cancel::Journal { message } => Reason {
            owner: Some(Owner::Infrastructure),
            ..Reason::without_owner(None, format!("the journal cannot be written: {message}"))
        },
        Cancel::Defect { failure } => Reason::failed(None, failure),
    }]
}

fn refusal_reasons(refusal: &Refusal) -> Vec<Reason> {
    match refusal {
        Refusal::Request { sentence } => vec![Reason::without_owner(None, sentence.clone())],
        Refusal::Policy { sentences } => sentences.iter().map(|sentence| Reason::without_owner(None, sentence.clone())).collect(),
        Refusal::Facts(failure) => vec![Reason::failed(None, failure)],
    }
}

/// The reasons that the steps of a plan give, without those of rungs that the pack counts as advice.
fn plan_reasons(plan: &Plan, state: &RunState, tiers: &[Tier]) -> Vec<Reason> {
    let counts = |rung: Rung| plan.pack.settings.rungs.get(&rung) != Some(&Weight::Advisory);
    let counted = tiers.iter().copied().filter(|tier| counts(Rung::of(*tier)));
    let mut outcomes: Vec<(Tier, Outcome)> = counted.map(|tier| (tier, tier_outcome(plan, state, tier))).collect();
    outcomes.sort_by_key(|(_, outcome)| Reverse(Severity::of(outcome)));
    let tier_reasons = outcomes.into_iter().filter_map(|(tier, outcome)| tier_reason(tier, outcome));
    let lint_reasons = lint_outcome(plan, state).filter(|_| counts(Rung::Lint)).and_then(lint_reason);
    let thorough_reasons = thorough::outcome(plan, state).and_then(thorough_reason);
    let nothing_ran = tiers.iter().all(|tier| matches!(tier_outcome(plan, state, *tier), Outcome::Skipped(_)));
    let every_skipped = "nothing ran, because every tier that was asked for is skipped";
    let nothing_ran = nothing_ran.then(|| Reason::without_owner(None, every_skipped));
    tier_reasons.chain(nothing_ran).chain(lint_reasons).chain(thorough_reasons).chain(deploy_count_reason(plan, state)).collect()
}

fn tier_reason(tier: Tier, outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Passed => None,
        Outcome::Failed(failure) => Some(Reason::failed(Some(tier), &failure)),
        Outcome::Skipped(SkipReason::Structural { .. } | SkipReason::NotApplicable { .. } | SkipReason::NotAsked) => None,
        Outcome::Skipped(SkipReason::Filtered { by }) => Some(Reason::without_owner(
            Some(tier),
            format!("{tier} is not verified: it was left out by the choice of tests ({by})"),
        )),
        Outcome::Unverified(gap) => Some(Reason::not_verified(Some(tier), tier.name(), &gap)),
    }
}

/// Lint is required: errors that head introduced make the verdict red, and lint that did not end proves nothing. An error of
/// base, or one that may be of base, is advice.
fn lint_reason(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(Gap::Incomparable { .. }) => None,
        Outcome::Failed(failure) => Some(Reason::failed(None, &failure)),
        Outcome::Unverified(gap) => Some(Reason::not_verified(None, "lint", &gap)),
    }
}

fn thorough_reason(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Passed | Outcome::Skipped(_) => None,
        Outcome::Failed(failure) => Some(Reason::failed(None, &failure)),
        Outcome::Unverified(gap) => Some(Reason::not_verified(None, "what --thorough adds", &gap)),
    }
}

/// A run that deployed the app more often than its plan says did something that no report shows.
fn deploy_count_reason(plan: &Plan, state: &RunState) -> Option<Reason> {
    let planned = plan.steps.iter().filter(|planned| matches!(planned.step, Step::Deploy { .. })).count();
    (state.deploys as usize > planned).then(|| {
        let sentence = format!("the app was deployed {} times and not {planned}; this is a defect of taster", state.deploys);
        Reason { owner: Some(Owner::Harness), ..Reason::without_owner(None, sentence) }
    })
}

/// That a run was killed, and what was removed after it.
fn format_killed(after: &CleanedAfter) -> String {
    let objects = if after.removed == 1 { "1 object" } else { &format!("{} objects", after.removed) };
    let removed = format!("the run was killed; its {} removed {objects} after it", after.by.name());
    match after.left.as_slice() {
        [] => format!("{removed}, and nothing is left"),
        left => format!("{removed}, and could not remove: {}", left.join("; ")),
    }
}
