//! The events of a run.
//!
//! The journal keeps them in order, and the state of a run is their fold; no fact about a run exists beside them. Names of
//! version 1 are aliases, so that its journals are read in full.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        host::Host,
        load::Load,
        names::{Domain, RunId, ServiceName, SwarmId, TaskId},
        outcome::{Failure, Outcome, Subject},
        request::Request,
        text::plain,
        time::{Mono, Wall},
    },
    pure::{
        host::{
            claim::Claimed,
            converge::{SpecDigest, TaskState, TaskView},
            inventory::CleanupResult,
            preflight::{Check, Needs},
        },
        recipe::{
            canary::{Canary, Moment},
            lint::Linted,
        },
        run::plan::{Plan, StepId},
    },
};

/// The version of the journal's format, in its first line.
pub const JOURNAL_VERSION: u32 = 2;

/// The longest tail of a file that an event carries, in bytes.
pub const TAIL_BYTES: usize = 2048;
/// The longest error of Swarm that an event carries, in characters.
pub const ERROR_CHARS: usize = 300;
/// The most changes of tasks that a run records. Later ones are in no report, and a warning says so.
pub const MOST_TASK_CHANGES: usize = 500;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// When it happened, for people.
    pub at: Wall,
    /// When it happened, for decisions.
    pub mono: Mono,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The kinds of events. Tier boundaries, totals and whether the run was killed are derived by the fold and never written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// The run began. Always the first event.
    RunStarted {
        /// The version of the journal's format.
        version: u32,
        /// The run.
        run: RunId,
        /// taster's version.
        taster: String,
        /// The commit that taster was built from; absent when it was built outside of a checkout.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
        /// What was asked for.
        request: Request,
        /// The host of the run.
        host: Host,
    },
    /// The facts are gathered, and the run has a plan.
    Planned {
        /// The plan.
        plan: Plan,
    },
    /// The host has no room yet for the run beside the other living runs of this machine.
    Queued {
        /// What the run waits for, a sentence each.
        waiting_for: Vec<String>,
    },
    /// The host has room for the run. From here on other runs leave that room to it.
    Admitted {
        /// What the run needs.
        needs: Needs,
    },
    /// The run claims something before it makes it.
    Claimed {
        /// The Swarm that it is on.
        engine: SwarmId,
        /// What is claimed.
        what: Claimed,
    },
    /// Nothing of a claim is left, as two inventories in a row confirm.
    Released {
        /// What was claimed.
        what: Claimed,
    },
    /// A child process is about to act for the run.
    ChildStarted {
        /// Its process id, which is the id of its group too.
        pid: i32,
        /// When it started, in clock ticks since boot; a later process with the same id has another time.
        start_ticks: u64,
        /// What it does.
        doing: String,
    },
    /// A child process ended.
    ChildEnded {
        /// Its process id.
        pid: i32,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: StepId,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A step waits for something else than before.
    Observed {
        /// The step.
        step: StepId,
        /// What the step waits for, a line each; empty when it waits for nothing any more.
        waiting_for: Vec<String>,
    },
    /// A check about the app ended.
    CheckFinished {
        /// The step that made the check.
        step: StepId,
        /// The name of the check.
        check: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// A step ended.
    StepFinished {
        /// The step.
        step: StepId,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt of a step failed, and another one follows.
    AttemptFailed {
        /// The step.
        step: StepId,
        /// The attempt, from 1.
        attempt: u32,
        /// How it failed.
        failure: Failure,
    },
    /// A file was written into the run's folder.
    EvidenceKept {
        /// The step that it belongs to.
        step: StepId,
        /// The file, relative to the run's folder.
        file: PathBuf,
        /// Its content, in words.
        what: String,
        /// Its last lines, [`TAIL_BYTES`] at most, so that a report can show them without the file.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        tail: String,
    },
    /// A task of the app was observed for the first time, or in another state than before.
    TaskChanged {
        /// The step that observed it.
        step: StepId,
        /// The task.
        seen: TaskSeen,
    },
    /// A fact of the run that later results speak of: the app's domain, versions of tools, images.
    Noted {
        /// The fact.
        note: Note,
    },
    /// A warning for people, which changes no outcome.
    Warned {
        /// One sentence.
        text: String,
    },
    /// The run ends early; the steps that always run still run.
    CancelRequested {
        /// Why.
        why: Cancel,
    },
    /// The app outlives the run. The janitor removes what is claimed after that time, or when it is asked for this run by name.
    Kept {
        /// The app.
        domain: Domain,
        /// Until when the janitor leaves it alone.
        until: Wall,
    },
    /// The host's inventory after the run was compared with the one from before it.
    #[serde(alias = "world-compared")]
    InventoryCompared {
        /// The difference.
        #[serde(alias = "hygiene")]
        cleanup_result: CleanupResult,
    },
    /// The run ended. After this only the guardian or the janitor adds to its journal.
    RunFinished,
    /// The guardian or the janitor cleaned up after the run. A run without [`Kind::RunFinished`] before this was killed.
    #[serde(alias = "swept-after")]
    CleanedAfter {
        /// Which of them.
        by: CleanedBy,
        /// How many objects and files were removed.
        removed: u32,
        /// What could not be removed, with the reason, a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
}

/// What cleans up after a run that cannot do it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CleanedBy {
    /// The process that the run starts beside itself for this.
    Guardian,
    /// A later run, or `taster janitor`.
    Janitor,
}

impl CleanedBy {
    /// The name in sentences.
    pub fn name(self) -> &'static str {
        match self {
            CleanedBy::Guardian => "guardian",
            CleanedBy::Janitor => "janitor",
        }
    }
}

/// The names of all kinds of events, with those of version 1. A kind that is not among them may be a claim of a later version.
const NAMES: [&str; 24] = [
    "run-started",
    "planned",
    "queued",
    "admitted",
    "claimed",
    "released",
    "child-started",
    "child-ended",
    "step-started",
    "observed",
    "check-finished",
    "step-finished",
    "attempt-failed",
    "evidence-kept",
    "task-changed",
    "noted",
    "warned",
    "cancel-requested",
    "kept",
    "inventory-compared",
    "world-compared",
    "run-finished",
    "cleaned-after",
    "swept-after",
];

impl Kind {
    /// Whether a kind of event has this name in this version or an earlier one.
    pub fn is_known(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Whether the event has to be on the disk before the act that it announces.
    pub fn durable(&self) -> bool {
        matches!(
            self,
            Kind::RunStarted { .. }
                | Kind::Planned { .. }
                | Kind::Admitted { .. }
                | Kind::Claimed { .. }
                | Kind::ChildStarted { .. }
                | Kind::StepStarted { .. }
                | Kind::Kept { .. }
                | Kind::RunFinished
        )
    }
}

/// A task as one observation shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSeen {
    /// The service without its stack.
    pub service: String,
    /// The task.
    pub task: TaskId,
    /// Its slot; global tasks have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// Its state.
    pub state: TaskState,
    /// The exit code of its container, when that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Swarm's sentence on what went wrong, [`ERROR_CHARS`] at most; empty when nothing did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl TaskSeen {
    /// A task of `service` as an observation shows it.
    pub fn of(service: &str, view: &TaskView) -> Self {
        let error = view.error.chars().take(ERROR_CHARS).collect();
        let (service, task) = (service.to_owned(), view.id.clone());
        Self { service, task, slot: view.slot, state: view.state, exit: view.exit, error }
    }
}

/// A task on which the app had settled, and that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedTask {
    /// The service.
    pub service: ServiceName,
    /// The task.
    pub task: TaskId,
    /// The exit code of its container, as far as the engine has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// What ended it.
    pub end: End,
    /// Swarm's sentence on what went wrong; empty when nothing did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The step that ran when the end was observed; absent between two steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<StepId>,
    /// The step of the run that explains the end, such as a restore; absent when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because_of: Option<StepId>,
}

/// What ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Its container exited.
    ByItself,
    /// Its health check failed.
    Unhealthy,
    /// Swarm stopped it, although its service was not changed.
    Stopped,
    /// Another client of the engine killed its container.
    Killed,
    /// Swarm does not show it any more.
    Unknown,
}

/// The last lines of a text, [`TAIL_BYTES`] at most. A line that is longer than that alone is cut at its front.
pub fn tail(text: &str) -> String {
    let text = plain(text);
    let text = text.trim_end();
    let from = text.len().saturating_sub(TAIL_BYTES);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let last = &text[from..];
    match last.split_once('\n') {
        Some((_, whole)) if from > 0 && !text[..from].ends_with('\n') => whole.to_owned(),
        _ => last.to_owned(),
    }
}

/// A fact of the run that results contain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Note {
    /// The app's domain.
    Domain {
        /// The domain.
        domain: Domain,
    },
    /// The version of a tool that the run uses.
    Tool {
        /// The tool: `abra`, `engine`.
        tool: String,
        /// The version that it prints.
        version: String,
    },
    /// The image that a service runs.
    Image {
        /// The service without its stack.
        service: String,
        /// The image.
        image: String,
    },
    /// The app was deployed where no app was.
    Deployed,
    /// Base or head runs from now on, or services of both.
    Runs {
        /// Which.
        subject: Subject,
    },
    /// A canary was seeded, checked or corrupted.
    Canary {
        /// The canary.
        canary: Canary,
        /// When in the app's life.
        moment: Moment,
        /// How that ended.
        outcome: Outcome,
    },
    /// The backup service has made a snapshot of the app.
    Snapshot {
        /// Its id.
        id: String,
    },
    /// A service that head's files do not have any more was found running and removed.
    Dropped {
        /// The service without its stack.
        service: String,
    },
    /// An operator has to do or to know this for the upgrade from base to head.
    OperatorMust {
        /// One sentence.
        text: String,
    },
    /// The app has settled on these tasks. A later observation of others is one of a restart.
    Settled {
        /// The running tasks of each service.
        tasks: BTreeMap<ServiceName, BTreeSet<TaskId>>,
        /// The digests of the services' specs; empty when the deploy failed, so that what follows from that is not reported
        /// again.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        specs: BTreeMap<ServiceName, SpecDigest>,
    },
    /// A task on which the app had settled has ended.
    TaskEnded {
        /// The task.
        ended: EndedTask,
    },
    /// Something other than the run changed the app after it had settled.
    Interfered {
        /// The change, a whole clause.
        what: String,
    },
    /// The resolved compose files were compared with the running services.
    #[serde(alias = "calibrated")]
    ComposeVerified {
        /// The differences, a sentence each.
        differences: Vec<String>,
        /// The keys of the files that are not compared: `services.app.sysctls`.
        skipped: Vec<String>,
    },
    /// The files of base or head, as they were judged.
    Files {
        /// Which of them.
        subject: Subject,
        /// The SHA-256 over their paths, modes and bytes.
        digest: String,
    },
    /// Lint of base or head.
    Linted {
        /// Which of them.
        subject: Subject,
        /// The result.
        linted: Linted,
    },
    /// The preflight of the host.
    Preflight {
        /// Its checks.
        checks: Vec<Check>,
    },
    /// The load of the machine at the start of the run.
    Load {
        /// The load.
        load: Load,
    },
    /// A screenshot of the app was taken.
    Screenshot {
        /// The file, relative to the run's folder.
        file: String,
        /// What ran then; absent in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Subject>,
    },
    /// Custom tests of the last green run of the recipe are not in its pack any more.
    Vanished {
        /// Their names.
        tests: Vec<String>,
    },
    /// A reader has to know this about how the result was made.
    Remark {
        /// One sentence.
        text: String,
    },
}

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "cancel", rename_all = "kebab-case")]
pub enum Cancel {
    /// A signal came.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The run's deadline passed.
    Deadline,
    /// The host's policy does not allow what a step would deploy, or what runs.
    Policy {
        /// What is not allowed, a sentence each with the remedy.
        sentences: Vec<String>,
    },
    /// The journal cannot be written any more.
    Journal {
        /// The error of the system.
        message: String,
    },
    /// taster itself failed.
    Defect {
        /// What failed.
        failure: Failure,
    },
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    use super::*;

    #[test]
    fn names_are_those_of_the_kinds_with_their_aliases() {
        let schema = schema_for!(Kind);
        let kinds = schema.as_value()["oneOf"].as_array().unwrap();
        let kinds: BTreeSet<&str> = kinds.iter().filter_map(|kind| kind["properties"]["event"]["const"].as_str()).collect();
        let aliases = BTreeSet::from(["world-compared", "swept-after"]);
        assert_eq!(BTreeSet::from(NAMES), &kinds | &aliases);
    }
}
