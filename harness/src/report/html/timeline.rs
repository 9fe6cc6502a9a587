//! Steps and tasks along one time axis.

use crate::{
    model::time::{Mono, format_duration},
    pure::{host::converge::TaskState, run::state::RunState},
    report::results::{Results, Status, Task},
};

/// The most tasks that have a row.
const MOST_TASKS: usize = 60;
/// The most parts of the axis; more do not fit on a telephone.
const MOST_TICKS: u64 = 5;

/// All rows, the axis, and what did not fit.
pub(super) struct Timeline {
    /// The marks of the axis: the position in percent, and the text.
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
    /// How it ended, in words.
    pub(super) text: String,
    /// Its bars.
    pub(super) bars: Vec<Bar>,
}

/// A part of a row.
pub(super) struct Bar {
    /// Where it begins, in percent.
    pub(super) left: f64,
    /// How long it is, in percent.
    pub(super) width: f64,
    /// Its CSS class.
    pub(super) class: &'static str,
    /// What it means.
    pub(super) title: String,
}

/// The timeline of a run: the steps in the order in which they began, and below each the tasks that it observed first.
pub(super) fn timeline(state: &RunState, results: &Results) -> Timeline {
    let axis = Axis { total: results.duration_ms.max(1) };
    let mut rows = Vec::new();
    let mut shown = 0;
    for (_, step) in results.steps_by_time() {
        let Some(began) = step.started_ms else { continue };
        let ended = state.steps.iter().find(|(id, _)| id.0 == step.name).and_then(|(_, step)| step.ended.as_ref());
        let end = ended.map_or(results.duration_ms, |(at, _)| at.0);
        let took = format_duration(Mono(end).since(Mono(began)));
        let text = match ended {
            Some(_) => format!("{} in {took}", super::word(step.status)),
            None => format!("did not end, observed for {took}"),
        };
        let bars = vec![axis.bar(began, end, class_of_step(step.status), format!("{}: {text}", step.name))];
        rows.push(Row { name: step.name.clone(), task: false, text, bars });
        for task in results.tasks.iter().filter(|task| task.step == step.name) {
            if shown < MOST_TASKS {
                rows.push(axis.task(task, end));
            }
            shown += 1;
        }
    }
    Timeline { ticks: axis.ticks(), rows, more: shown.saturating_sub(MOST_TASKS) }
}

fn class_of_step(status: Status) -> &'static str {
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

    fn bar(&self, from: u64, to: u64, class: &'static str, title: String) -> Bar {
        let left = self.percent(from);
        Bar { left, width: (self.percent(to) - left).max(0.0), class, title }
    }

    /// The row of a task. Its step observed it until `end`; its states after that are not known.
    fn task(&self, task: &Task, end: u64) -> Row {
        let mut states = Vec::new();
        let mut bars = Vec::new();
        for (number, change) in task.changes.iter().enumerate() {
            let exit = change.exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
            let text = format!("{} at {}{exit}", change.state.name(), format_duration(Mono(change.at_ms).since(Mono(0))));
            let until = match task.changes.get(number + 1) {
                Some(next) => next.at_ms,
                None if change.state.alive() => end.max(change.at_ms),
                None => change.at_ms,
            };
            bars.push(self.bar(change.at_ms, until, class_of_task(change.state), text.clone()));
            states.push(text);
        }
        if let Some(error) = task.changes.last().map(|last| last.error.as_str()).filter(|error| !error.is_empty()) {
            states.push(error.to_owned());
        }
        let slot = task.slot.map(|slot| format!(".{slot}")).unwrap_or_default();
        Row { name: format!("{}{slot}", task.service), task: true, text: states.join(" · "), bars }
    }

    /// Marks at round times.
    fn ticks(&self) -> Vec<(f64, String)> {
        const ROUND: [u64; 14] =
            [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000];
        let fitting = ROUND.into_iter().find(|step| self.total / step < MOST_TICKS);
        let step = fitting.unwrap_or(self.total.div_ceil(MOST_TICKS));
        let ticks = (0..=self.total / step).map(|number| (self.percent(number * step), round(number * step)));
        // The text is on the right of its mark and would be cut off at the end.
        ticks.filter(|(at, _)| *at < 88.0).collect()
    }
}

/// A round time in its shortest form.
fn round(millis: u64) -> String {
    match millis {
        0 => "0".into(),
        _ if millis < 1000 => format!("{millis} ms"),
        _ if millis >= 60_000 && millis.is_multiple_of(60_000) => format!("{} min", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{} s", millis / 1000),
        _ => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
    }
}

fn class_of_task(state: TaskState) -> &'static str {
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
