//! The log of a run: the single write path, journal first, then fold, then reporters.
//!
//! A fact is in the state only after its event is in the journal, so a crash never loses what a decision rested on. When the
//! journal cannot be written, events are still folded and reported, so that the run can come to its end; it claims nothing any
//! more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    journal::{Journal, JournalError},
    model::{
        names::SwarmId,
        text::{plain, with_causes},
    },
    ports::{ChildRegister, RegisterError, ReportError, Reporter},
    pure::{
        host::claim::{Claim, Claimed},
        run::{
            event::{Event, Kind, MOST_TASK_CHANGES, Note, TaskSeen},
            plan::StepId,
            state::{RunState, fold},
        },
    },
    redact::Redact,
};

/// The run's log. Clones share it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    journal: Journal,
    redact: Arc<Redact>,
    state: Arc<RunState>,
    claims: Vec<Claim>,
    reporters: Vec<Box<dyn Reporter>>,
    broken: Option<Arc<JournalError>>,
}

impl Log {
    /// A log that writes to `journal` and passes each event to `reporters`.
    pub fn new(journal: Journal, redact: Arc<Redact>, reporters: Vec<Box<dyn Reporter>>) -> Self {
        let inner = Inner { journal, redact, state: Arc::default(), claims: Vec::new(), reporters, broken: None };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Records an event. A durable one is on the disk when this returns, unless [`Log::broken`].
    pub fn record(&self, kind: Kind) {
        let mut inner = self.lock();
        let (kind, _) = inner.redact.fact(without_hidden_characters(kind));
        inner.record(kind);
        for text in inner.redact.complaints() {
            inner.record(Kind::Warned { text });
        }
    }

    /// Claims `what` for the run, durably, before it is made. A second claim of the same returns the first.
    pub fn claim(&self, what: Claimed, engine: &SwarmId) -> Result<Claim, JournalError> {
        let mut inner = self.lock();
        if let Some(claim) = inner.claims.iter().find(|claim| *claim.what() == what && claim.engine() == engine) {
            return Ok(claim.clone());
        }
        if let Some(source) = &inner.broken {
            return Err(JournalError::Broken { source: source.clone() });
        }
        match inner.journal.claim(what, engine) {
            Ok((claim, event)) => {
                inner.apply(&event);
                inner.claims.push(claim.clone());
                Ok(claim)
            }
            // The journal refused before it wrote, so it is still whole.
            Err(error @ JournalError::Disbelieved { .. }) => Err(error),
            Err(
                error @ (JournalError::Lock(_)
                | JournalError::Exists { .. }
                | JournalError::File { .. }
                | JournalError::NoRun { .. }
                | JournalError::Full { .. }
                | JournalError::Removed { .. }
                | JournalError::Broken { .. }),
            ) => {
                let source = inner.broken.insert(Arc::new(error)).clone();
                Err(JournalError::Broken { source })
            }
        }
    }

    /// Records a fact for the results.
    pub fn note(&self, note: Note) {
        self.record(Kind::Noted { note });
    }

    /// Records what a step waits for, if that has changed.
    pub fn observe(&self, step: &StepId, waiting_for: Vec<String>) {
        // The state has redacted texts; an unredacted secret would differ from them each time.
        let waiting_for: Vec<String> = waiting_for.iter().map(|line| self.redact(line)).collect();
        if self.state().steps.get(step).map(|step| &step.waiting_for) != Some(&waiting_for) {
            self.record(Kind::Observed { step: step.clone(), waiting_for });
        }
    }

    /// Records the changes of the app's tasks that an observation shows, at most [`MOST_TASK_CHANGES`] in a run.
    pub fn observe_tasks(&self, step: &StepId, tasks: impl IntoIterator<Item = TaskSeen>) {
        let (changes, room) = {
            let inner = self.lock();
            let tasks = tasks.into_iter().map(|seen| inner.redact.fact(seen).0);
            let changes: Vec<TaskSeen> = tasks.filter(|seen| inner.state.is_news(seen)).collect();
            let recorded: usize = inner.state.tasks.iter().map(|task| task.changes.len()).sum();
            (changes, MOST_TASK_CHANGES.saturating_sub(recorded))
        };
        let fills = room > 0 && changes.len() >= room;
        for seen in changes.into_iter().take(room) {
            self.record(Kind::TaskChanged { step: step.clone(), seen });
        }
        if fills {
            self.record(Kind::Warned { text: format!("only the first {MOST_TASK_CHANGES} changes of tasks are recorded") });
        }
    }

    /// The state after all events so far. It is shared, and later events do not change it.
    pub fn state(&self) -> Arc<RunState> {
        self.lock().state.clone()
    }

    /// The text without the run's secrets.
    pub fn redact(&self, text: &str) -> String {
        self.lock().redact.text(text)
    }

    /// All claims of the run, released or not.
    pub fn claims(&self) -> Vec<Claim> {
        self.lock().claims.clone()
    }

    /// Why the journal cannot be written any more, if so.
    pub fn broken(&self) -> Option<Arc<JournalError>> {
        self.lock().broken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of the state is one assignment, so a panic elsewhere cannot have left it half made.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn record(&mut self, kind: Kind) {
        // After a failed write nothing more is written: a reader takes a journal that stops as it is, while one with missing
        // lines would look complete.
        let written = match self.broken {
            None => self.journal.append(kind.clone()).map_err(|error| self.broken = Some(Arc::new(error))),
            Some(_) => Err(()),
        };
        let event = written.unwrap_or_else(|()| self.journal.unwritten(kind));
        self.apply(&event);
    }

    /// Folds an event into the state and passes both to the reporters. A reporter that fails receives no further event.
    fn apply(&mut self, event: &Event) {
        // Without another holder of the old state this moves it.
        self.state = Arc::new(fold(Arc::unwrap_or_clone(std::mem::take(&mut self.state)), event));
        let state = &self.state;
        let mut failures: Vec<ReportError> = Vec::new();
        self.reporters.retain_mut(|reporter| match reporter.on(event, state) {
            Ok(()) => true,
            Err(error) => {
                failures.push(error);
                false
            }
        });
        for error in failures {
            self.record(Kind::Warned { text: with_causes(&error) });
        }
    }
}

/// The event without hidden characters in its texts, most of which come from other programs, so that no report has to think of
/// them. An event that needs such a text, as a folder's name can be, stays as it is.
fn without_hidden_characters(kind: Kind) -> Kind {
    fn clean(value: &mut Value) {
        match value {
            Value::String(text) => *text = plain(text),
            Value::Array(items) => items.iter_mut().for_each(clean),
            Value::Object(fields) => fields.values_mut().for_each(clean),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    // The request has paths, which a repeated run has to find.
    if matches!(kind, Kind::RunStarted { .. }) {
        return kind;
    }
    let Ok(before) = serde_json::to_value(&kind) else { return kind };
    let mut after = before.clone();
    clean(&mut after);
    if after == before { kind } else { serde_json::from_value(after).unwrap_or(kind) }
}

#[async_trait]
impl ChildRegister for Log {
    async fn started(&self, pid: i32, start_ticks: u64, doing: &str) -> Result<(), RegisterError> {
        self.record(Kind::ChildStarted { pid, start_ticks, doing: doing.to_owned() });
        match self.broken() {
            None => Ok(()),
            Some(error) => Err(RegisterError { pid, source: error.into() }),
        }
    }

    async fn ended(&self, pid: i32) {
        self.record(Kind::ChildEnded { pid });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;

    #[test]
    fn refused_claim_leaves_the_journal_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = "20261121-101502-k3v7q2m7".parse().unwrap();
        let journal = Journal::create(dir.path(), run, Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, Arc::new(Redact::new()), Vec::new());
        let claim = |path: &std::path::Path| log.claim(Claimed::Dir { path: path.into() }, &"swarm1".parse().unwrap());
        assert!(matches!(claim("/".as_ref()), Err(JournalError::Disbelieved { .. })));
        assert!(log.broken().is_none());
        assert!(claim(&dir.path().join("abra")).is_ok());
    }

    #[test]
    fn hidden_characters_are_in_no_recorded_event() {
        let dir = tempfile::tempdir().unwrap();
        let run = "20261121-101502-k3v7q2m7".parse().unwrap();
        let journal = Journal::create(dir.path(), run, Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, Arc::new(Redact::new()), Vec::new());
        log.record(Kind::Warned { text: "a \u{202e}drow\u{1b}[31m of others\nand a\u{200b} line".into() });
        assert_eq!(log.state().warnings, ["a drow of others\nand a line"]);
    }

    #[test]
    fn state_that_is_held_does_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let run = "20261121-101502-k3v7q2m7".parse().unwrap();
        let journal = Journal::create(dir.path(), run, Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, Arc::new(Redact::new()), Vec::new());
        let before = log.state();
        log.record(Kind::Warned { text: "late".into() });
        assert_eq!((before.warnings.len(), log.state().warnings.len()), (0, 1));
    }
}
