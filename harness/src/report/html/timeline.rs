//! Steps and tasks along one time axis.

use crate::{
    model::time::{Mono, format_duration},
    pure::{host::converge::TaskState, run::state::RunState},
    report::results::{ResultsV1, Status, Task},
};

/// How many tasks have a row of their own.
const MOST_TASKS: usize = 60;
/// How many parts the axis has at most; more would not fit on a telephone.
const MOST_TICKS: u64 = 5;

/// All rows, the axis, and what did not fit.
pub(super) struct Timeline {
    /// The marks of the axis: where, in percent, and what they say.
    pub(super) ticks: Vec<(f64, String)>,
    /// The rows.
    pub(super) rows: Vec<Row>,
    /// How many tasks have no row.
    pub(super) more: usize,
}

/// One step or task.
pub(super) struct Row {
    /// Its name.
    pub(super) name: String,
    /// Whether it is a task, which is shown below its step.
    pub(super) task: bool,
    /// What became of it, in words.
    pub(super) told: String,
    /// Its bars.
    pub(super) bars: Vec<Bar>,
}

/// A part of a row.
pub(super) struct Bar {
    /// Where it begins, in percent.
    pub(super) left: f64,
    /// How long it is, in percent.
    pub(super) width: f64,
    /// How it looks.
    pub(super) look: &'static str,
    /// What it shows.
    pub(super) title: String,
}

/// The timeline of a run.
pub(super) fn timeline(state: &RunState, results: &ResultsV1) -> Timeline {
    let axis = Axis { total: results.duration_ms.max(1) };
    let mut rows = Vec::new();
    let mut shown = 0;
    for stage in &results.stages {
        let Some(began) = stage.started_ms else { continue };
        let ended = state.steps.iter().find(|(id, _)| id.0 == stage.name).and_then(|(_, step)| step.ended.as_ref());
        let end = ended.map_or(results.duration_ms, |(at, _)| at.0);
        let took = format_duration(Mono(end).since(Mono(began)));
        let told = match ended {
            Some(_) => format!("{} in {took}", super::word(stage.status)),
            None => format!("did not end, seen for {took}"),
        };
        let look = look_of_step(stage.status);
        let bars = vec![axis.bar(began, end, look, format!("{}: {told}", stage.name))];
        rows.push(Row { name: stage.name.clone(), task: false, told, bars });
        for task in results.tasks.iter().filter(|task| task.step == stage.name) {
            if shown < MOST_TASKS {
                rows.push(axis.task(task, end));
            }
            shown += 1;
        }
    }
    Timeline { ticks: axis.ticks(), rows, more: shown.saturating_sub(MOST_TASKS) }
}

fn look_of_step(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Fail => "fail",
        Status::Skip | Status::Unver => "unver",
    }
}

struct Axis {
    total: u64,
}

impl Axis {
    #[expect(clippy::cast_precision_loss, reason = "a percentage of a run's milliseconds needs no more digits")]
    fn percent(&self, at: u64) -> f64 {
        (at.min(self.total) as f64 * 10_000.0 / self.total as f64).round() / 100.0
    }

    fn bar(&self, from: u64, to: u64, look: &'static str, title: String) -> Bar {
        let left = self.percent(from);
        Bar { left, width: (self.percent(to) - left).max(0.0), look, title }
    }

    /// A task's row. It was looked at until its step ended; what became of it after that is not known.
    fn task(&self, task: &Task, end: u64) -> Row {
        let mut told = Vec::new();
        let mut bars = Vec::new();
        for (number, change) in task.changes.iter().enumerate() {
            let exit = change.exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
            let said = format!("{} at {}{exit}", change.state.name(), format_duration(Mono(change.at_ms).since(Mono(0))));
            let until = match task.changes.get(number + 1) {
                Some(next) => next.at_ms,
                None if change.state.alive() => end.max(change.at_ms),
                None => change.at_ms,
            };
            bars.push(self.bar(change.at_ms, until, look_of_task(change.state), said.clone()));
            told.push(said);
        }
        if let Some(error) = task.changes.last().map(|last| last.error.as_str()).filter(|error| !error.is_empty()) {
            told.push(error.to_owned());
        }
        let slot = task.slot.map(|slot| format!(".{slot}")).unwrap_or_default();
        Row { name: format!("{}{slot}", task.service), task: true, told: told.join(" · "), bars }
    }

    /// Marks at round times.
    fn ticks(&self) -> Vec<(f64, String)> {
        const ROUND: [u64; 14] =
            [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000];
        let fitting = ROUND.into_iter().find(|step| self.total / step < MOST_TICKS);
        let step = fitting.unwrap_or(self.total.div_ceil(MOST_TICKS));
        let ticks = (0..=self.total / step).map(|number| (self.percent(number * step), round(number * step)));
        // The text stands on the right of its mark and would be cut off at the end.
        ticks.filter(|(at, _)| *at < 88.0).collect()
    }
}

/// A round time, as short as can be.
fn round(millis: u64) -> String {
    match millis {
        0 => "0".into(),
        _ if millis < 1000 => format!("{millis} ms"),
        _ if millis >= 60_000 && millis.is_multiple_of(60_000) => format!("{} min", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{} s", millis / 1000),
        _ => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
    }
}

fn look_of_task(state: TaskState) -> &'static str {
    match state {
        TaskState::New
        | TaskState::Allocated
        | TaskState::Pending
        | TaskState::Assigned
        | TaskState::Accepted
        | TaskState::Preparing
        | TaskState::Ready => "waits",
        TaskState::Starting => "starts",
        TaskState::Running => "runs",
        TaskState::Complete | TaskState::Shutdown | TaskState::Remove => "ends",
        TaskState::Failed | TaskState::Rejected | TaskState::Orphaned => "falls",
    }
}
