//! `results.json`, version 1 of its own schema. Field names of the predecessor are kept where the meaning is the same.

use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    adapters::folder::Folder,
    claim::Claimed,
    event::{Event, Kind},
    log::Reporter,
    model::{
        outcome::{Outcome, Owner, Tier},
        time::Wall,
    },
    plan::{Class, Plan},
    state::{RunState, StepState},
    verdict::{Verdict, exit_code, tier_outcome, verdict},
    world::Hygiene,
};

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// What `results.json` holds. Times are RFC 3339 with milliseconds, durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultsV1 {
    /// The version of this schema.
    pub schema: u32,
    /// The run.
    pub run_id: String,
    /// The recipe.
    pub recipe: String,
    /// The version that the tag on the commit under test names.
    pub version: Option<String>,
    /// The commit under test.
    #[serde(rename = "ref")]
    pub commit: Option<String>,
    /// Whether it holds changes that were not committed.
    pub dirty: bool,
    /// The app's domain.
    pub domain: Option<String>,
    /// When the run began.
    pub started: Option<Wall>,
    /// When it ended; absent while it runs, and for ever when it was killed.
    pub finished: Option<Wall>,
    /// How long it has taken so far.
    pub duration_ms: u64,
    /// The tiers that were asked for.
    pub requested: Vec<Tier>,
    /// The verdict about the recipe. Before the end it speaks of what has happened so far, and so is never green.
    pub verdict: Verdict,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// How each tier ended: pass, fail, skip or unver.
    pub results: BTreeMap<String, Status>,
    /// The steps in order, with their checks.
    pub stages: Vec<Stage>,
    /// What was left or changed; absent until it was compared.
    pub hygiene: Option<Hygiene>,
    /// What is still claimed, and so would be swept by the janitor.
    pub claimed: Vec<Claimed>,
    /// How often the app was deployed.
    pub deploys: u32,
    /// What each service ran.
    pub images: BTreeMap<String, String>,
    /// Versions of the tools that the result rests on.
    pub tools: BTreeMap<String, String>,
    /// What a reader must know about how the result was made.
    pub remarks: Vec<String>,
    /// Sentences that change no outcome.
    pub warnings: Vec<String>,
    /// Files in the run's folder and what they show.
    pub evidence: Vec<Evidence>,
    /// The command that makes the same run again.
    pub repeat: String,
    /// A digest over all other fields, `sha256:` and hexadecimal: a changed byte is noticed by it.
    pub digest: String,
}

/// The short word for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It ran and passed.
    Pass,
    /// It ran and failed.
    Fail,
    /// It was not to run.
    Skip,
    /// It should have run and was not verified.
    Unver,
}

impl From<&Outcome> for Status {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed => Status::Pass,
            Outcome::Failed(_) => Status::Fail,
            Outcome::Skipped(_) => Status::Skip,
            Outcome::Unverified(_) => Status::Unver,
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The tier that it belongs to, if it does.
    pub tier: Option<Tier>,
    /// How it ended.
    pub status: Status,
    /// One sentence; empty when it passed.
    pub summary: String,
    /// The whole outcome; absent when it did not run.
    pub outcome: Option<Outcome>,
    /// Whose fault it is, when it failed.
    pub owner: Option<Owner>,
    /// How long it took.
    pub duration_ms: u64,
    /// The checks that it made.
    pub tests: Vec<Test>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// One sentence; empty when it passed.
    pub summary: String,
}

/// A file in the run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The file, relative to the run's folder.
    pub file: String,
    /// What it shows.
    pub what: String,
}

impl From<&RunState> for ResultsV1 {
    fn from(state: &RunState) -> Self {
        let begun = state.begun.as_ref();
        let head = state.plan.as_ref().and_then(|plan| plan.head.as_ref());
        let verdict = if state.finished.is_some() { verdict(state) } else { verdict(&as_if_killed(state)) };
        let exit_code = if state.finished.is_some() { exit_code(state) } else { exit_code_of_the_unfinished(&verdict) };
        let mut results = ResultsV1 {
            schema: SCHEMA,
            run_id: begun.map(|begun| begun.run.to_string()).unwrap_or_default(),
            recipe: begun.map(|begun| begun.request.recipe.to_string()).unwrap_or_default(),
            version: head.and_then(|head| head.version.clone()),
            commit: head.map(|head| head.commit.to_string()),
            dirty: head.is_some_and(|head| head.dirty),
            domain: state.domain.as_ref().map(ToString::to_string),
            started: begun.map(|begun| begun.at),
            finished: state.finished,
            duration_ms: state.last.map_or(0, |(_, mono)| mono.0),
            requested: verdict.tiers.clone(),
            verdict,
            exit_code,
            results: tiers(state),
            stages: stages(state),
            hygiene: state.hygiene.clone(),
            claimed: state.claims.iter().cloned().collect(),
            deploys: state.deploys,
            images: state.images.clone(),
            tools: state.tools.clone(),
            remarks: state.remarks.clone(),
            warnings: state.warnings.clone(),
            evidence: state
                .evidence
                .iter()
                .map(|(file, what)| Evidence { file: file.display().to_string(), what: what.clone() })
                .collect(),
            repeat: super::terminal::repeat(state),
            digest: String::new(),
        };
        results.digest = results.computed_digest();
        results
    }
}

impl ResultsV1 {
    /// The digest over all other fields.
    pub fn computed_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        let text = serde_json::to_string(&bare).unwrap_or_default();
        format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(text)))
    }
}

/// The state as a reader must take it who finds nothing after it: what has not ended was killed.
fn as_if_killed(state: &RunState) -> RunState {
    let mut state = state.clone();
    for step in state.steps.values_mut() {
        let at = step.began;
        step.ended.get_or_insert((at, Outcome::Unverified(crate::model::outcome::Gap::Killed)));
    }
    state
}

/// A run that has not ended proves nothing, unless the recipe has failed already.
fn exit_code_of_the_unfinished(verdict: &Verdict) -> u8 {
    match verdict.outcome {
        crate::verdict::Colour::Red => 1,
        crate::verdict::Colour::Green | crate::verdict::Colour::Inconclusive => 3,
    }
}

fn tiers(state: &RunState) -> BTreeMap<String, Status> {
    let Some(plan) = &state.plan else { return BTreeMap::new() };
    Tier::ALL.into_iter().map(|tier| (tier.name().to_owned(), Status::from(&tier_outcome(plan, state, tier)))).collect()
}

fn stages(state: &RunState) -> Vec<Stage> {
    let planned = state.plan.as_ref().map_or(&[] as &[_], |plan: &Plan| &plan.steps);
    planned
        .iter()
        .map(|planned| {
            let step = state.steps.get(&planned.id);
            let outcome = step.and_then(StepState::outcome);
            Stage {
                name: planned.id.to_string(),
                tier: match planned.class {
                    Class::Tier(tier) => Some(tier),
                    Class::Beside | Class::Always => None,
                },
                status: outcome.map_or(Status::Unver, Status::from),
                summary: outcome.map_or_else(|| "did not run".to_owned(), super::terminal::summary),
                outcome: outcome.cloned(),
                owner: match outcome {
                    Some(Outcome::Failed(failure)) => Some(failure.owner),
                    Some(Outcome::Passed | Outcome::Skipped(_) | Outcome::Unverified(_)) | None => None,
                },
                duration_ms: step.and_then(StepState::took).map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                tests: state
                    .checks
                    .iter()
                    .filter(|check| check.step == planned.id)
                    .map(|check| Test {
                        name: check.check.clone(),
                        status: Status::from(&check.outcome),
                        summary: super::terminal::summary(&check.outcome),
                    })
                    .collect(),
            }
        })
        .collect()
}

/// The text of `results.json`.
pub fn document(state: &RunState) -> Result<String, String> {
    let text = serde_json::to_string_pretty(&ResultsV1::from(state)).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

/// Keeps `results.json` true: a stub at the start, rewritten after each step.
pub struct ResultsFile {
    folder: Folder,
}

impl ResultsFile {
    /// Writes into the run's folder.
    pub fn in_folder(folder: Folder) -> Self {
        Self { folder }
    }
}

impl Reporter for ResultsFile {
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), String> {
        let telling = matches!(
            event.kind,
            Kind::RunStarted { .. }
                | Kind::Planned { .. }
                | Kind::StepFinished { .. }
                | Kind::CancelRequested { .. }
                | Kind::RunFinished
        );
        if !telling {
            return Ok(());
        }
        self.folder
            .replace(Path::new("results.json"), &document(state)?)
            .map_err(|error| format!("results.json cannot be written: {error}"))
    }
}
