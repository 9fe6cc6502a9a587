//! `results.json`, version 1 of its own schema. Field names follow docs/explanation/predecessor.md where the meaning is the same.
//! A value that taster does not know is null, never invented.

mod compare;
mod of_state;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use compare::differences;

pub use crate::model::outcome::Status;
use crate::{
    adapters::folder::Folder,
    engine::log::Reporter,
    model::{
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
        recipe::{backup::Coverage, canary::Moment, lint::Rule},
        run::{
            event::{Event, Kind},
            kept_app::Kept,
            state::{Calibration, RunState},
            verdict::Verdict,
        },
    },
    redact::Redact,
};

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// What `results.json` holds. Times are RFC 3339 with milliseconds, durations and offsets are milliseconds.
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
    /// The pull request that the run is about; null until runs know of such.
    pub pr: Option<String>,
    /// The commit under test.
    #[serde(rename = "ref")]
    pub commit: Option<String>,
    /// Whether it holds changes that were not committed.
    pub dirty: bool,
    /// What is under test; null when the run ended before that was known.
    pub head: Option<HeadV1>,
    /// What the app was upgraded from; null when nothing was.
    pub base: Option<BaseV1>,
    /// Why it is this base, or why there is none.
    pub base_reason: String,
    /// What started the run; null until runs know of that.
    pub trigger: Option<String>,
    /// The host.
    pub host: Option<HostV1>,
    /// The app's domain.
    pub domain: Option<String>,
    /// When the run began.
    pub started: Option<Wall>,
    /// When it ended; null while it runs, and for ever when it was killed.
    pub finished: Option<Wall>,
    /// How long it has taken so far.
    pub duration_ms: u64,
    /// The tiers that were asked for.
    pub requested: Vec<Tier>,
    /// What was tried beyond the tiers, or left out of them.
    pub extent: Extent,
    /// Which custom tests were chosen, and how often one that failed was tried. With a choice the custom tier is never verified.
    pub selection: Tests,
    /// Where tests from outside of the tree came from, and what app they were run on.
    #[serde(default)]
    pub authoring: Authoring,
    /// The verdict about the recipe. Before the end it speaks of what has happened so far, and so is never green.
    pub verdict: Verdict,
    /// Whose fault the worst failure is; null when nothing failed.
    pub owner: Option<Owner>,
    /// The exit code that goes with the verdict.
    pub exit_code: u8,
    /// How each tier ended.
    pub results: BTreeMap<String, Status>,
    /// How each rung stands.
    pub rungs: RungsV1,
    /// How far the recipe has come, from 0 to 5.
    #[schemars(range(max = 5))]
    pub level: u8,
    /// One sentence on why it is not higher.
    pub level_reason: String,
    /// What lint says of the head; null when the run was refused or has no plan.
    pub lint: Option<LintV1>,
    /// The rungs that were skipped, and those that were not verified.
    pub skips: Skips,
    /// Two facts about the run itself.
    pub flags: Flags,
    /// The steps in order, with their checks.
    pub stages: Vec<Stage>,
    /// The tasks of the app with the moments at which they changed.
    pub tasks: Vec<Task>,
    /// What was left or changed; null until it was compared.
    pub cleanup_result: Option<CleanupResult>,
    /// The app that outlives the run and until when; absent when nothing was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// What is still claimed, and so would be swept by the janitor.
    pub claimed: Vec<Claimed>,
    /// How often the app was deployed.
    pub deploys: u32,
    /// What of the recipe ran at the end: base, head, or a mixture where an upgrade failed; null when nothing was deployed.
    pub runs: Option<Subject>,
    /// What each service ran.
    pub images: BTreeMap<String, Image>,
    /// What each service ran before the upgrade.
    pub images_before: BTreeMap<String, Image>,
    /// The services that head does not have any more, which were found running and removed.
    pub dropped: Vec<String>,
    /// What an operator has to do, or to know, to come from base to head.
    pub operator_must: Vec<String>,
    /// What became of the canaries, one after the other.
    pub canaries: Vec<CanaryV1>,
    /// How long it took to bring the app back with its data after it had been removed: from `abra app new` to the end of the look for
    /// canaries. Null unless that was asked for and passed.
    pub disaster_ms: Option<u64>,
    /// The snapshot that the backup service made of the app; null without one.
    pub snapshot: Option<String>,
    /// What the recipe's pack changes about the run: settings that are not as usual, tests, hooks, whether there is an overlay, and
    /// why it is superficial if it is; null without a pack.
    pub customization: Option<Value>,
    /// The picture of the app, relative to the run's folder; null when none was taken.
    pub screenshot: Option<String>,
    /// taster itself.
    pub harness: HarnessV1,
    /// Versions of the tools that the result rests on.
    pub tools: BTreeMap<String, String>,
    /// The load of the host; null until it is looked at.
    pub load: Option<Value>,
    /// What the preflight found of the host.
    pub preflight: Vec<Check>,
    /// What the recipe needs of its host, by its files; null when the run ended before that was known.
    pub needs: Option<Needs>,
    /// How what the recipe's files were taken to say compares with what ran; null until that was looked at. Nothing rests on the files
    /// where they differ.
    pub resolver: Option<Calibration>,
    /// What a reader must know about how the result was made.
    pub remarks: Vec<String>,
    /// Sentences that change no outcome.
    pub warnings: Vec<String>,
    /// Files in the run's folder and what they show.
    pub evidence: Vec<Evidence>,
    /// The command that makes the same run again.
    pub repeat: String,
    /// The custom tests that the last green run of the recipe with custom tests had, and that its pack does not have any more.
    pub vanished: Vec<String>,
    /// A digest over all other fields, `sha256:` and hexadecimal: a changed byte is noticed by it.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
}

/// What is under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadV1 {
    /// The version that the tag on the commit names.
    pub version: Option<String>,
    /// The commit.
    pub commit: String,
    /// Whether it holds changes that were not committed.
    pub dirty: bool,
}

/// What the app is upgraded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaseV1 {
    /// The version that the tag on the commit names.
    pub version: Option<String>,
    /// The tag or branch that it was found by.
    pub name: String,
    /// The commit.
    pub commit: String,
}

/// What became of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryV1 {
    /// The canary, in words.
    pub name: String,
    /// The volume that it is in, when it is a file.
    pub volume: Option<String>,
    /// How much of that volume is in the backup; null when nothing is backed up, or when it is no file.
    pub backed_up: Option<Coverage>,
    /// How it was found, by moment: `planted`, `after-upgrade`, `spoiled`, `after-restore`, `after-restart`, `after-reinstall`,
    /// `after-disaster`. What was
    /// spoiled passed when it was then seen to be.
    pub seen: BTreeMap<Moment, Sighting>,
}

/// How a canary was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sighting {
    /// Whether it was as it has to be.
    pub status: Status,
    /// One sentence; empty when it was.
    pub summary: String,
}

/// The host as far as results speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostV1 {
    /// The zone of its apps.
    pub zone: String,
    /// abra's name for the server.
    pub server: String,
}

/// How each rung stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RungsV1 {
    /// The app installs.
    pub install: Status,
    /// It upgrades.
    pub upgrade: Status,
    /// It can be backed up and restored.
    pub backup_restore: Status,
    /// Its custom tests pass.
    pub custom: Status,
    /// The recipe is free of lint.
    pub lint: Status,
}

/// What lint says of the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LintV1 {
    /// Whether it is free of errors, whoever brought them.
    pub status: Status,
    /// One sentence.
    pub detail: String,
    /// The rules of severity error that it breaks.
    pub rules_failed: Vec<String>,
    /// Those of them that base does not break, or all when there is no base. They make the verdict red.
    pub introduced: Vec<String>,
    /// The rules that are mere advice and that it breaks.
    pub advice: Vec<String>,
    /// What it was compared with, by its tag or branch; null when there is nothing.
    pub against: Option<String>,
    /// How it stands to each rule; empty when it could not be linted.
    pub rules: Vec<Rule>,
}

/// The rungs that neither passed nor failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skips {
    /// Those that do not apply to the recipe, each with the reason; the level climbs past them.
    pub intentional: BTreeMap<String, String>,
    /// Those that were not verified, for whatever reason; they hold the level down.
    pub unintentional: Vec<String>,
}

/// Two facts about the run itself. Both are true only when they are known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flags {
    /// The inventories before and after were compared, nothing of the run is left, nothing of others was changed by it, and all that the run
    /// had claimed was seen to be gone.
    pub clean_teardown: bool,
    /// Every text of these results was searched for every secret that the run had learnt until it was written, in every form
    /// that the filter knows, and there was none. When one is found it is hidden in the file, and this is false, because it may
    /// stand elsewhere in the run's folder: text that was written before the secret was learnt could not be filtered for it. It is
    /// false, too, when abra made a secret that is too short to be hidden, or one in a way that cannot be read.
    pub no_secret_leak: bool,
}

/// What a service ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// The image as the service's spec names it, without its digest.
    pub image: String,
    /// Its digest, when the spec names it.
    pub digest: Option<String>,
}

/// taster itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HarnessV1 {
    /// Its version.
    pub version: String,
    /// Its commit, when it was built with `TASTER_COMMIT` set.
    pub commit: Option<String>,
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
    /// The whole outcome; null when it did not run.
    pub outcome: Option<Outcome>,
    /// Whose fault it is, when it failed.
    pub owner: Option<Owner>,
    /// When it began, from the start of the run; null when it did not.
    pub started_ms: Option<u64>,
    /// How long it took, its last attempt where it was tried more than once.
    pub duration_ms: u64,
    /// Whether it passed only when it was tried again.
    pub flaky: bool,
    /// The attempts that failed before it was tried again.
    pub attempts: Vec<Attempt>,
    /// What it waited for last, a line each; empty when it waited for nothing in the end.
    pub waiting_for: Vec<String>,
    /// The checks that it made.
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

/// What became of a task of the app, as long as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// The service without its stack.
    pub service: String,
    /// The task's id.
    pub task: String,
    /// Its slot; global tasks have none.
    pub slot: Option<u64>,
    /// The step that looked.
    pub step: String,
    /// What it was seen to be, from when on.
    pub changes: Vec<Change>,
}

/// What a task was seen to be from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// When that was seen, from the start of the run.
    pub at_ms: u64,
    /// What it was.
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
    /// What it shows.
    pub what: String,
}

/// The JSON Schema of [`ResultsV1`] as it is written: every field is there, those that are not known as null.
pub fn results_schema() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<ResultsV1>()
}

/// The digest over all fields but the digest itself of a results file, as it stands there: what another version wrote, too. The error
/// is one sentence.
pub fn digest_of(text: &str) -> Result<String, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let digest = value.get_mut("digest").ok_or("it has no digest")?;
    *digest = Value::from("");
    Ok(digest_over(&value.to_string()))
}

fn digest_over(text: &str) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(text)))
}

impl ResultsV1 {
    /// The digest over all other fields.
    pub fn computed_digest(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        digest_over(&serde_json::to_string(&bare).unwrap_or_default())
    }

    /// The same results after the search that [`Flags::no_secret_leak`] tells of.
    pub fn searched(self, redact: &Redact) -> Self {
        let bare = Self { digest: String::new(), ..self };
        let (mut results, found) = redact.fact(bare);
        results.flags.no_secret_leak = !found && redact.complete();
        results.digest = results.computed_digest();
        results
    }
}

/// Keeps `results.json` true: a stub at the start, rewritten after each step.
pub struct ResultsFile {
    folder: Folder,
    redact: Arc<Redact>,
}

impl ResultsFile {
    /// Writes into the run's folder what has no secret of `redact` in it.
    pub fn in_folder(folder: Folder, redact: Arc<Redact>) -> Self {
        Self { folder, redact }
    }
}

/// The text of `results.json`.
pub fn document(state: &RunState, redact: &Redact) -> Result<String, String> {
    let results = ResultsV1::from(state).searched(redact);
    serde_json::to_string_pretty(&results).map(|text| text + "\n").map_err(|error| error.to_string())
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
            .replace(Path::new("results.json"), &document(state, &self.redact)?)
            .map_err(|error| format!("results.json cannot be written: {error}"))
    }
}
