//! `results.json`: its fields, its digest, and how earlier versions are read.
//!
//! Field names follow docs/explanation/predecessor.md where the meaning is the same. A value that taster does not know is null,
//! never invented.

mod compare;
mod from_state;
mod version1;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use compare::differences;

pub use crate::model::outcome::Status;
use crate::{
    model::{
        load::Load,
        outcome::{Failure, Outcome, Owner, Subject, Tier},
        request::{Authoring, Extent, Tests},
        time::Wall,
    },
    pure::{
        host::{
            claim::Claimed,
            converge::TaskState,
            inventory::CleanupResult,
            preflight::{Check, Needs},
        },
        recipe::{backup::Coverage, canary::Moment, lint::Rule, upgrade_base::LeftOut},
        run::{
            kept_app::Kept,
            state::{ComposeVerification, RunState},
            verdict::Verdict,
        },
    },
    redact::Redact,
    report::files::ReportFile,
};

/// The version of the schema.
pub const SCHEMA: u32 = 2;

/// What `results.json` holds. Times are RFC 3339 with milliseconds, durations and offsets are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// The version of this schema.
    pub schema: u32,
    /// The run.
    pub run_id: String,
    /// The recipe.
    pub recipe: String,
    /// The version that the tag on the commit under test names.
    pub version: Option<String>,
    /// The number of the pull request that the run is about, as `--pr` names it.
    pub pr: Option<String>,
    /// The commit under test.
    #[serde(rename = "ref")]
    pub commit: Option<String>,
    /// Whether it holds changes that were not committed.
    pub dirty: bool,
    /// The commit under test with its version; null when the run ended before it was known.
    pub head: Option<TestedHead>,
    /// What the app was upgraded from; null without an upgrade.
    pub base: Option<TestedBase>,
    /// Why it is this base, or why there is none.
    pub base_reason: String,
    /// The tags that are no candidates for the base, each with the reason.
    #[serde(default)]
    pub tags_left_out: Vec<LeftOut>,
    /// The SHA-256 over paths, modes and bytes of the files that were judged, of base and of head.
    #[serde(default)]
    pub files: BTreeMap<Subject, String>,
    /// The event that started the run, as `--trigger` names it.
    pub trigger: Option<String>,
    /// The host.
    pub host: Option<TestedHost>,
    /// The app's domain.
    pub domain: Option<String>,
    /// When the run began.
    pub started: Option<Wall>,
    /// When it ended; null while it runs, and in the results of a run that was killed.
    pub finished: Option<Wall>,
    /// How long it has taken so far.
    pub duration_ms: u64,
    /// The tiers that were asked for.
    pub requested: Vec<Tier>,
    /// What the run did beyond the tiers, or left out of them.
    pub extent: Extent,
    /// The choice among the custom tests, and how often a failed one was tried again. With a choice the custom tier is never
    /// verified.
    pub selection: Tests,
    /// Where tests from outside of the pack came from, and which kept app they ran on.
    #[serde(default)]
    pub authoring: Authoring,
    /// The verdict. Before the end of the run it covers what has happened so far, and is never green.
    pub verdict: Verdict,
    /// Who has to act on the most severe failure; null without a failure.
    pub owner: Option<Owner>,
    /// The exit code that goes with the verdict.
    pub exit_code: u8,
    /// How each tier ended.
    pub results: BTreeMap<String, Status>,
    /// The status of each rung.
    pub rungs: RungStatuses,
    /// The level of the recipe, from 0 to 5.
    #[schemars(range(max = 5))]
    pub level: u8,
    /// Why it is not higher; `highest` at level 5.
    pub level_reason: String,
    /// Lint of the head; null when the run was refused or has no plan.
    pub lint: Option<LintResult>,
    /// The rungs that were skipped, and those that were not verified.
    pub skips: Skips,
    /// Facts about the run itself.
    pub flags: Flags,
    /// What [`Flags::no_secret_leak`] rests on.
    #[serde(default)]
    pub secret_search: SecretSearch,
    /// The tiers in the order of a run, then lint, each with its steps.
    pub stages: Vec<Stage>,
    /// The steps that belong to no stage, in the order of the plan: canaries, screenshot, cleanup.
    pub steps: Vec<StepResult>,
    /// The tasks of the app with the moments at which they changed.
    pub tasks: Vec<Task>,
    /// The difference between the inventories before and after the run; null until they were compared.
    pub cleanup: Option<CleanupResult>,
    /// The app that outlives the run and until when; absent when nothing was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// What is still claimed, and what the next janitor would remove.
    pub claimed: Vec<Claimed>,
    /// How often the app was deployed.
    pub deploys: u32,
    /// Which commit ran at the end: base, head, or services of both where an upgrade failed; null when nothing was deployed.
    pub runs: Option<Subject>,
    /// The image of each service.
    pub images: BTreeMap<String, Image>,
    /// The image of each service before the upgrade.
    pub images_before: BTreeMap<String, Image>,
    /// The services of base that head does not have any more, and that were found running and removed.
    pub dropped: Vec<String>,
    /// What an operator has to do or to know for the upgrade from base to head.
    pub operator_must: Vec<String>,
    /// The canaries with how they were found.
    pub canaries: Vec<CanaryResult>,
    /// How long it took to bring the app back with its data after it had been removed: from `abra app new` to the end of the
    /// check of the canaries. Null unless `--disaster` was given and passed.
    pub disaster_ms: Option<u64>,
    /// The snapshot that the backup service made of the app; null without one.
    pub snapshot: Option<String>,
    /// What the recipe's pack changes about the run: settings that are not the default, tests, hooks, whether there is an
    /// overlay, and why it is superficial if it is; null without a pack.
    pub customization: Option<Value>,
    /// The screenshot of the app, relative to the run's folder; null when none was taken.
    pub screenshot: Option<String>,
    /// What the screenshot shows, in words: head, base after a rollback, or a mixture; null when that is not known.
    #[serde(default)]
    pub screenshot_caption: Option<String>,
    /// The taster that made the run.
    pub harness: HarnessBuild,
    /// The versions of the tools that the run used.
    pub tools: BTreeMap<String, String>,
    /// The load of the machine at the start of the run; null when it cannot be read.
    pub load: Option<Load>,
    /// The checks of the host before the run.
    pub preflight: Vec<Check>,
    /// What the recipe needs of its host by its files; null when the run ended before that was known.
    pub needs: Option<Needs>,
    /// The differences between the resolved compose files and the running services; null until they were compared. No check
    /// relies on the files where they differ.
    pub resolver: Option<ComposeVerification>,
    /// What a reader has to know about how the result was made.
    pub remarks: Vec<String>,
    /// Sentences that change no outcome.
    pub warnings: Vec<String>,
    /// The files of evidence in the run's folder.
    pub evidence: Vec<Evidence>,
    /// The command that makes the same run again.
    pub repeat: String,
    /// The custom tests of the last green run of the recipe with such that its pack does not have any more.
    pub vanished: Vec<String>,
    /// A digest over all other fields, `sha256:` and hexadecimal: a changed byte is noticed by it.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
}

/// The commit under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedHead {
    /// The version that the tag on the commit names.
    pub version: Option<String>,
    /// The commit.
    pub commit: String,
    /// Whether it holds changes that were not committed.
    pub dirty: bool,
}

/// What the app was upgraded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedBase {
    /// The version that the tag on the commit names.
    pub version: Option<String>,
    /// The tag or branch that it was found by.
    pub name: String,
    /// The commit.
    pub commit: String,
}

/// A canary and how it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryResult {
    /// The canary, in words.
    pub name: String,
    /// The volume that it is in, when it is a file.
    pub volume: Option<String>,
    /// How much of that volume is in the backup; null when nothing is backed up, or when it is not a file.
    pub backed_up: Option<Coverage>,
    /// How it was found, by moment: `seeded`, `after-upgrade`, `corrupted`, `after-restore`, `after-restart`, `after-reinstall`,
    /// `after-disaster`. A corrupted canary passes when it was then found corrupted.
    pub seen: BTreeMap<Moment, Sighting>,
}

/// How a canary was found at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sighting {
    /// Whether it was as expected.
    pub status: Status,
    /// One sentence; empty when it passed.
    pub summary: String,
}

/// The host, as far as results name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedHost {
    /// The zone of its apps.
    pub zone: String,
    /// abra's name for the server.
    pub server: String,
}

/// The status of each rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RungStatuses {
    /// The app installs.
    pub install: Status,
    /// It upgrades.
    pub upgrade: Status,
    /// It can be backed up and restored.
    pub backup_restore: Status,
    /// The same as `custom`, under the name that the predecessor has for it.
    pub functional: Status,
    /// Its custom tests pass.
    pub custom: Status,
    /// The recipe is free of lint errors.
    pub lint: Status,
}

/// Lint of the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LintResult {
    /// Whether it is free of errors, of head and of base alike.
    pub status: Status,
    /// One sentence.
    pub detail: String,
    /// The rules of severity error that it breaks.
    pub rules_failed: Vec<String>,
    /// Those of them that base does not break, or all when there is no base. They make the verdict red.
    pub introduced: Vec<String>,
    /// The rules of lower severity that it breaks.
    pub advice: Vec<String>,
    /// What it was compared with, by its tag or branch; null without such.
    pub against: Option<String>,
    /// Each rule and whether it holds; empty when head could not be linted.
    pub rules: Vec<Rule>,
}

/// The rungs that neither passed nor failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skips {
    /// The rungs that do not apply to the recipe, each with the reason; the level climbs past them.
    pub intentional: BTreeMap<String, String>,
    /// The rungs that were not verified, for any reason; they hold the level down.
    pub unintentional: Vec<String>,
}

/// Facts about the run itself. Each is true only when it is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flags {
    /// The inventories before and after were compared, the run leaked nothing and changed nothing of others, and everything that
    /// it had claimed was confirmed gone.
    pub clean_teardown: bool,
    /// Every text that `secret_search` names was searched for every secret that the run had learnt until then, in every form that
    /// the filter knows, and none was found. A secret that is found in these results is hidden in the file, and this is false,
    /// because it may be elsewhere: text that was written before the secret was learnt could not be filtered for it. It is also
    /// false when abra made a secret that is too short to be hidden, or one in a way that cannot be read.
    pub no_secret_leak: bool,
}

/// The search for secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretSearch {
    /// How many values were searched for; each line of a longer one counts.
    pub values: usize,
    /// The texts that were searched: these results, and once the run has ended the texts of its folder.
    pub searched: Vec<String>,
    /// Those of them in which a value was found.
    pub found_in: Vec<String>,
}

/// The image of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// The image as the service's spec names it, without its digest.
    pub image: String,
    /// Its digest, when the spec names it.
    pub digest: Option<String>,
}

/// The taster that made the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HarnessBuild {
    /// Its version.
    pub version: String,
    /// The commit that it was built from; null when it was built outside of a checkout.
    pub commit: Option<String>,
}

/// A tier or lint, with its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// The name: `install`, `upgrade`, `backup`, `restore`, `custom` or `lint`.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// One sentence; empty when it passed.
    pub summary: String,
    /// Who has to act, when it failed.
    pub owner: Option<Owner>,
    /// When its first step began, from the start of the run; null when none did.
    pub started_ms: Option<u64>,
    /// How long it took, from the beginning of its first step to the end of its last one so far.
    pub duration_ms: u64,
    /// Its steps, in the order of the plan.
    pub steps: Vec<StepResult>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// One sentence; empty when it passed.
    pub summary: String,
    /// The whole outcome; null when it did not run.
    pub outcome: Option<Outcome>,
    /// Who has to act, when it failed.
    pub owner: Option<Owner>,
    /// When it began, from the start of the run; null when it did not.
    pub started_ms: Option<u64>,
    /// How long it took; its last attempt where it was tried more than once.
    pub duration_ms: u64,
    /// Whether it passed only when it was tried again.
    pub flaky: bool,
    /// The attempts that failed before it was tried again.
    pub attempts: Vec<Attempt>,
    /// What it waited for last, a line each; empty when it waited for nothing in the end.
    pub waiting_for: Vec<String>,
    /// Its checks.
    pub tests: Vec<Test>,
}

/// An attempt of a step that failed before the step was tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// How long it took.
    pub duration_ms: u64,
    /// One sentence.
    pub summary: String,
    /// How it failed.
    pub failure: Failure,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// One sentence; empty when it passed.
    pub summary: String,
}

/// A task of the app with its states, as long as a step observed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// The service without its stack.
    pub service: String,
    /// The task's id.
    pub task: String,
    /// Its slot; global tasks have none.
    pub slot: Option<u64>,
    /// The step that observed it first.
    pub step: String,
    /// Its states, each from the moment on when it was observed.
    pub changes: Vec<Change>,
}

/// A state of a task, from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// When it was observed, from the start of the run.
    pub at_ms: u64,
    /// The state.
    pub state: TaskState,
    /// The exit code of its container, when that had ended.
    pub exit: Option<i32>,
    /// Swarm's sentence on what went wrong; empty when nothing had.
    pub error: String,
}

/// A file in the run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The step that it belongs to.
    pub step: String,
    /// The file, relative to the run's folder.
    pub file: String,
    /// Its content, in words.
    pub what: String,
}

/// The JSON Schema of [`Results`] as they are written: every field is there, those that are not known as null.
pub fn results_schema() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Results>()
}

/// The text of `results.json`.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn document(
    state: &RunState,
    redact: &Redact,
    texts: impl IntoIterator<Item = (String, String)>,
) -> Result<String, serde_json::Error> {
    let results = Results::from(state).searched_with(redact, texts);
    serde_json::to_string_pretty(&results).map(|text| text + "\n")
}

/// Reads results of this version or an earlier one.
///
/// # Errors
/// When the text is not what any version writes.
pub fn parse(text: &str) -> Result<Results, serde_json::Error> {
    let value: Value = serde_json::from_str(text)?;
    if let Some(newer) = value.get("schema").and_then(Value::as_u64).filter(|schema| *schema > u64::from(SCHEMA)) {
        let sentence = format!("it has version {newer} of the schema, and this taster knows versions up to {SCHEMA}");
        return Err(serde::de::Error::custom(sentence));
    }
    serde_json::from_value(current(value))
}

/// Results of this version or an earlier one in the form of this version. What is not known to be results stays as it is.
pub fn current(results: Value) -> Value {
    match results.get("schema").and_then(Value::as_u64) {
        Some(1) => version1::upgraded(results),
        Some(_) | None => results,
    }
}

/// The digest over all fields but the digest itself of a results file of any version, as it is in the file.
///
/// # Errors
/// When the text is not a JSON object with a digest.
pub fn digest_of(text: &str) -> Result<String, DigestError> {
    let mut value: Value = serde_json::from_str(text)?;
    *value.get_mut("digest").ok_or(DigestError::Absent)? = Value::from("");
    Ok(digest_over(&value.to_string()))
}

/// Why a file has no digest to compare.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The file is not JSON.
    #[error("it is not JSON")]
    NoJson(#[from] serde_json::Error),
    /// The file has no digest.
    #[error("it has no digest")]
    Absent,
}

fn digest_over(text: &str) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(text)))
}

impl Results {
    /// The digest over all other fields.
    pub fn computed_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        digest_over(&serde_json::to_string(&bare).unwrap_or_default())
    }

    /// The same results after the search that [`Flags::no_secret_leak`] describes.
    #[must_use]
    pub fn searched(self, redact: &Redact) -> Self {
        let bare = Self { digest: String::new(), ..self };
        let (mut results, found) = redact.fact(bare);
        results.flags.no_secret_leak = !found && redact.complete();
        let own = vec![ReportFile::Results.name().to_owned()];
        results.secret_search =
            SecretSearch { values: redact.values(), found_in: if found { own.clone() } else { Vec::new() }, searched: own };
        results.digest = results.computed_digest();
        results
    }

    /// The same results after the search of further texts, each with its name.
    #[must_use]
    pub fn searched_with(self, redact: &Redact, texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut results = self.searched(redact);
        for (name, text) in texts {
            if redact.text(&text) != text {
                results.flags.no_secret_leak = false;
                results.secret_search.found_in.push(name.clone());
            }
            results.secret_search.searched.push(name);
        }
        results.digest = results.computed_digest();
        results
    }

    /// All steps, each with its stage where it has one: those of the stages in their order, then the others.
    pub fn all_steps(&self) -> impl Iterator<Item = (Option<&Stage>, &StepResult)> {
        let of_stages = self.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (Some(stage), step)));
        of_stages.chain(self.steps.iter().map(|step| (None, step)))
    }

    /// The step with this name.
    pub fn step(&self, name: &str) -> Option<&StepResult> {
        self.all_steps().map(|(_, step)| step).find(|step| step.name == name)
    }

    /// All steps in the order in which they began; those that did not begin come last.
    pub fn steps_by_time(&self) -> Vec<(Option<&Stage>, &StepResult)> {
        let mut steps: Vec<_> = self.all_steps().collect();
        steps.sort_by_key(|(_, step)| step.started_ms.unwrap_or(u64::MAX));
        steps
    }
}
