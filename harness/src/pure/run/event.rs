//! What happened in a run, one owned event after another. The journal keeps them, the fold reads them, nothing else is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        host::Host,
        names::{Domain, EngineId, RunId, ServiceName, TaskId},
        outcome::{Failure, Outcome, Subject},
        request::Request,
        text::plain,
        time::{Mono, Wall},
    },
    pure::{
        host::{
            claim::Claimed,
            converge::{TaskState, TaskView},
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
/// The longest sentence of Swarm's that an event carries, in characters.
pub const ERROR_CHARS: usize = 300;
/// How many changes of tasks a run records at most. What comes later shows in no report, and a warning says so.
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

/// What can happen. Tier boundaries, totals and whether the run was killed are derived by the fold, never written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// The run began. Always the first event.
    RunStarted {
        /// The version of the journal's format.
        version: u32,
        /// The run.
        run: RunId,
        /// taster's own version.
        taster: String,
        /// What was asked for.
        request: Request,
        /// The host that it is tasted on.
        host: Host,
    },
    /// The facts allow the run, and this is what it will do.
    Planned {
        /// The plan.
        plan: Plan,
    },
    /// The host has no room for the run yet, beside the others of this machine that are alive.
    Queued {
        /// What it waits for, a sentence each.
        waiting_for: Vec<String>,
    },
    /// The host has room for the run. From here on others leave that room to it.
    Admitted {
        /// What it needs.
        needs: Needs,
    },
    /// Something is about to become the run's.
    Claimed {
        /// The Swarm on which it is.
        engine: EngineId,
        /// What is claimed.
        what: Claimed,
    },
    /// Something that was claimed is gone, seen twice.
    Released {
        /// What was claimed.
        what: Claimed,
    },
    /// A child process is about to act for the run.
    ChildStarted {
        /// Its process id, which is its group's too.
        pid: i32,
        /// When it started, in clock ticks since boot: tells it apart from a later process with the same id.
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
    /// What a step waits for has changed.
    Observed {
        /// The step.
        step: StepId,
        /// What it waits for, a line each; none when it waits for nothing any more.
        waiting_for: Vec<String>,
    },
    /// A check about the app ended.
    CheckFinished {
        /// The step that made it.
        step: StepId,
        /// The check's name, in words.
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
    /// An attempt of a step failed, and the step is tried again.
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
        /// What it shows.
        what: String,
        /// Its last lines, [`TAIL_BYTES`] at most, so that a report can show them without the file.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        tail: String,
    },
    /// A task of the app was seen for the first time, or is not any more what the last look showed.
    TaskChanged {
        /// The step that looked.
        step: StepId,
        /// What it saw.
        seen: TaskSeen,
    },
    /// A fact of the run that later results speak of: the app's domain, versions of tools, images.
    Noted {
        /// The fact.
        note: Note,
    },
    /// Something that a person should know and that changes no outcome.
    Warned {
        /// One sentence.
        text: String,
    },
    /// The run is to end early; what has to be done always is still done.
    CancelRequested {
        /// Why.
        why: Cancel,
    },
    /// The app outlives the run: what is claimed is swept by the janitor, and not before then unless somebody asks for it.
    Kept {
        /// The app.
        domain: Domain,
        /// Until when it is left alone.
        until: Wall,
    },
    /// The host's inventory after the run was compared with the one from before it.
    #[serde(alias = "inventory-compared")]
    InventoryCompared {
        /// What it showed.
        #[serde(alias = "hygiene")]
        cleanup_result: CleanupResult,
    },
    /// The run ended. Only somebody who sweeps after it may add to its journal.
    RunFinished,
    /// The guardian or the janitor cleaned up after the run. A run without [`Kind::RunFinished`] before this was killed.
    #[serde(alias = "swept-after")]
    CleanedAfter {
        /// Who.
        by: CleanedBy,
        /// How many objects and files were removed.
        removed: u32,
        /// What could not be removed, with the reason, a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
}

/// Who sweeps when the run cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CleanedBy {
    /// The process that was started beside the run for this.
    Guardian,
    /// A later run, or whoever asked for it.
    Janitor,
}

impl CleanedBy {
    /// Its name in sentences.
    pub fn name(self) -> &'static str {
        match self {
            CleanedBy::Guardian => "guardian",
            CleanedBy::Janitor => "janitor",
        }
    }
}

impl Kind {
    /// Whether the event must be on the disk before what it announces is done.
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

/// A task at one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSeen {
    /// The service without its stack.
    pub service: String,
    /// The task.
    pub task: TaskId,
    /// Its slot; global tasks have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// What it is.
    pub state: TaskState,
    /// The exit code of its container, when that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Swarm's sentence on what went wrong, [`ERROR_CHARS`] at most; empty when nothing did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl TaskSeen {
    /// What a look shows of a task of `service`.
    pub fn of(service: &str, view: &TaskView) -> Self {
        let error = view.error.chars().take(ERROR_CHARS).collect();
        let (service, task) = (service.to_owned(), view.id.clone());
        Self { service, task, slot: view.slot, state: view.state, exit: view.exit, error }
    }
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

/// A fact of the run that results speak of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Note {
    /// The app's domain.
    Domain {
        /// The domain.
        domain: Domain,
    },
    /// The version of a tool that the run relies on.
    Tool {
        /// The tool: `abra`, `engine`.
        tool: String,
        /// What it says of itself.
        version: String,
    },
    /// What a service runs.
    Image {
        /// The service without its stack.
        service: String,
        /// The image.
        image: String,
    },
    /// The app was deployed where none was.
    Deployed,
    /// What of the recipe runs from now on.
    Runs {
        /// What.
        subject: Subject,
    },
    /// A canary was planted, looked for or spoiled.
    Canary {
        /// The canary.
        canary: Canary,
        /// When in the app's life.
        moment: Moment,
        /// What came of it.
        outcome: Outcome,
    },
    /// The backup service has made a snapshot of the app.
    Snapshot {
        /// Its id.
        id: String,
    },
    /// A service that head's files do not have any more was found and removed.
    Dropped {
        /// The service without its stack.
        service: String,
    },
    /// Something that an operator has to do, or to know, to come from base to head.
    OperatorMust {
        /// One sentence.
        text: String,
    },
    /// The app has settled, on these tasks. A later look that finds others has found a restart.
    Settled {
        /// The running tasks of each service.
        tasks: BTreeMap<ServiceName, BTreeSet<TaskId>>,
    },
    /// What the recipe's files were taken to say was held against what runs.
    Calibrated {
        /// What differs, a sentence each; none when they agree.
        differences: Vec<String>,
        /// What the files say and that was not read, as `services.app.sysctls`.
        skipped: Vec<String>,
    },
    /// What lint says of base or head.
    Linted {
        /// Of which.
        subject: Subject,
        /// What it says.
        linted: Linted,
    },
    /// What the preflight found of the host.
    Preflight {
        /// Its checks.
        checks: Vec<Check>,
    },
    /// A picture of the app was taken.
    Screenshot {
        /// The file, relative to the run's folder.
        file: String,
    },
    /// Custom tests that the last green run of the recipe had are not in its pack any more.
    Vanished {
        /// Their names.
        tests: Vec<String>,
    },
    /// Something about how the result was made that a reader must know.
    Remark {
        /// One sentence.
        text: String,
    },
}

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "cancel", rename_all = "kebab-case")]
pub enum Cancel {
    /// A signal asked for it.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The run's deadline passed.
    Deadline,
    /// The journal cannot be written any more.
    Journal {
        /// The system's sentence.
        message: String,
    },
    /// taster itself failed.
    Defect {
        /// What failed.
        failure: Failure,
    },
}
