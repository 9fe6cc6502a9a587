//! Recordings of real stacks, written by `taster status --record`, and their replay.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use harness::{
    model::time::Mono,
    pure::host::converge::{Evaluation, Goal, Observation, Watch},
};
use serde::Deserialize;

/// One line of a recording.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Goal(Goal),
    Observation(Observation),
    WakeUp(serde::de::IgnoredAny),
}

/// The observations of a stack, in their order.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The file's name without its ending.
    pub name: String,
    /// The goal for which the stack was observed.
    pub goal: Goal,
    /// The observations.
    pub observations: Vec<Observation>,
}

/// The recordings' folder.
pub fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

/// The names of all recordings, those of other engines as `29/healthy`.
///
/// # Panics
/// If a folder cannot be read.
pub fn names() -> BTreeSet<String> {
    let paths = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let own = paths(&folder());
    let nested = own.iter().filter(|path| path.is_dir()).flat_map(|path| paths(path));
    let files: BTreeSet<PathBuf> = own.iter().cloned().chain(nested).collect();
    let recorded = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let name = |path: &PathBuf| path.strip_prefix(folder()).expect("within").with_extension("").display().to_string();
    recorded.map(name).collect()
}

impl Recording {
    /// The recording of that name.
    pub fn load(name: &str) -> Self {
        let path = folder().join(format!("{name}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut goal = Goal::Settle;
        let mut observations = Vec::new();
        for line in text.lines() {
            match serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display())) {
                Line::Goal(of_recording) => goal = of_recording,
                Line::Observation(observation) => observations.push(observation),
                Line::WakeUp(_) => {}
            }
        }
        Self { name: name.to_owned(), goal, observations }
    }
}

/// An evaluator of observations: the real one, or one with a rule removed.
pub trait Evaluator {
    /// Adds an observation and evaluates.
    fn observe(&mut self, observation: Observation) -> Evaluation;
}

/// The evaluator of the harness.
#[derive(Debug)]
pub struct RealEvaluator(Option<Watch>);

impl RealEvaluator {
    /// The evaluator for a goal.
    pub fn new(goal: Goal) -> Self {
        Self(Some(Watch::new(goal)))
    }
}

impl Evaluator for RealEvaluator {
    fn observe(&mut self, observation: Observation) -> Evaluation {
        let at = observation.at;
        let watch = harness::pure::host::converge::observe_into(self.0.take().expect("put back below"), observation);
        let evaluation = harness::pure::host::converge::evaluate(&watch, at);
        self.0 = Some(watch);
        evaluation
    }
}

/// The first final evaluation of the observations and its time; `None` when there is none.
pub fn replay(evaluator: &mut dyn Evaluator, observations: &[Observation]) -> Option<(Mono, Evaluation)> {
    observations.iter().find_map(|observation| match evaluator.observe(observation.clone()) {
        Evaluation::Waiting { .. } => None,
        evaluation => Some((observation.at, evaluation)),
    })
}

/// An evaluation in one line: `settled`, `crash-loop app exit 3`.
pub fn brief(evaluation: &Evaluation) -> String {
    match evaluation {
        Evaluation::Waiting { .. } => "waiting".into(),
        Evaluation::Settled { .. } => "settled".into(),
        Evaluation::Unverified(gap) => format!("{gap:?}"),
        Evaluation::Failed(failures) => {
            let failures = failures.iter().map(|failure| {
                let cause = serde_json::to_value(&failure.cause).expect("a cause is plain data");
                let service = cause["service"].as_str().and_then(|name| name.rsplit('_').next()).unwrap_or_default().to_owned();
                let exit = cause["exit"].as_i64().map_or(String::new(), |exit| format!(" exit {exit}"));
                format!("{} {service}{exit}", cause["cause"].as_str().unwrap_or_default())
            });
            failures.collect::<Vec<_>>().join(", ")
        }
    }
}
