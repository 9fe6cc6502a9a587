//! The one way by which something becomes true in a run: journal, then fold, then reports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::{
    journal::{Journal, JournalError},
    model::names::EngineId,
    ports::ChildRegister,
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

/// Who is told of every event, with the state after it.
pub trait Reporter: Send {
    /// Takes note of an event. An error is told once; it never ends the run.
    fn on(&mut self, event: &Event, state: &RunState) -> Result<(), String>;
}

/// The run's log. Clones share it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    journal: Journal,
    redact: Arc<Redact>,
    state: RunState,
    claims: Vec<Claim>,
    reporters: Vec<Box<dyn Reporter>>,
    broken: Option<String>,
}

impl Log {
    /// A log that writes to `journal` and tells `reporters`.
    pub fn new(journal: Journal, redact: Arc<Redact>, reporters: Vec<Box<dyn Reporter>>) -> Self {
        let inner = Inner { journal, redact, state: RunState::default(), claims: Vec::new(), reporters, broken: None };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Records what happened. A durable event is on the disk when this returns, unless the journal is broken, which
    /// [`Log::broken`] tells. From then on events are only folded and reported, so that the run can come to its end; nothing can
    /// be claimed any more.
    pub fn record(&self, kind: Kind) {
        let mut inner = self.lock();
        let (kind, _) = inner.redact.fact(kind);
        inner.record(kind);
        for text in inner.redact.complaints() {
            inner.record(Kind::Warned { text });
        }
    }

    /// Claims something for the run, durably, before it comes to be. What is claimed already is not claimed again.
    pub fn claim(&self, what: Claimed, engine: &EngineId) -> Result<Claim, JournalError> {
        let mut inner = self.lock();
        if let Some(claim) = inner.claims.iter().find(|claim| *claim.what() == what && claim.engine() == engine) {
            return Ok(claim.clone());
        }
        if let Some(message) = &inner.broken {
            return Err(JournalError::Broken { message: message.clone() });
        }
        let claimed = inner.journal.claim(what, engine);
        match claimed {
            Ok((claim, event)) => {
                inner.tell(&event);
                inner.claims.push(claim.clone());
                Ok(claim)
            }
            // Nothing was written, so the journal is as whole as it was.
            Err(error @ JournalError::Flawed { .. }) => Err(error),
            Err(
                error @ (JournalError::Lock(_)
                | JournalError::Exists { .. }
                | JournalError::File { .. }
                | JournalError::Broken { .. }),
            ) => {
                inner.broken.get_or_insert_with(|| error.to_string());
                Err(error)
            }
        }
    }

    /// Records a fact that results speak of.
    pub fn note(&self, note: Note) {
        self.record(Kind::Noted { note });
    }

    /// Records what a step waits for, if that has changed.
    pub fn observe(&self, step: &StepId, waiting_for: Vec<String>) {
        // What is known has gone through the filter; without that, a secret would be news for ever.
        let waiting_for: Vec<String> = waiting_for.iter().map(|line| self.redact(line)).collect();
        let known = self.lock().state.steps.get(step).map(|step| step.waiting_for.clone());
        if known.as_ref() != Some(&waiting_for) {
            self.record(Kind::Observed { step: step.clone(), waiting_for });
        }
    }

    /// Records what a look shows of the app's tasks, as far as it has changed, and not more than [`MOST_TASK_CHANGES`] times a run.
    pub fn saw_tasks(&self, step: &StepId, tasks: impl IntoIterator<Item = TaskSeen>) {
        let (news, room) = {
            let inner = self.lock();
            let tasks = tasks.into_iter().map(|seen| inner.redact.fact(seen).0);
            let news: Vec<TaskSeen> = tasks.filter(|seen| inner.state.is_news(seen)).collect();
            let told: usize = inner.state.tasks.iter().map(|story| story.changes.len()).sum();
            (news, MOST_TASK_CHANGES.saturating_sub(told))
        };
        let fills = room > 0 && news.len() >= room;
        for seen in news.into_iter().take(room) {
            self.record(Kind::TaskChanged { step: step.clone(), seen });
        }
        if fills {
            self.record(Kind::Warned {
                text: format!("after {MOST_TASK_CHANGES} changes of tasks no more of them are recorded"),
            });
        }
    }

    /// The state after all events so far.
    pub fn state(&self) -> RunState {
        self.lock().state.clone()
    }

    /// The text without the run's secrets.
    pub fn redact(&self, text: &str) -> String {
        self.lock().redact.text(text)
    }

    /// All that was ever claimed for the run, released or not.
    pub fn claims(&self) -> Vec<Claim> {
        self.lock().claims.clone()
    }

    /// Why the journal cannot be written any more, if so.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of the state is one assignment, so a panic elsewhere cannot have left it half made.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn record(&mut self, kind: Kind) {
        // A journal with a gap would be worse than one that ends.
        let written = match self.broken {
            None => self.journal.append(kind.clone()).map_err(|error| self.broken = Some(error.to_string())),
            Some(_) => Err(()),
        };
        let event = written.unwrap_or_else(|()| self.journal.unwritten(kind));
        self.tell(&event);
    }

    fn tell(&mut self, event: &Event) {
        self.state = fold(std::mem::take(&mut self.state), event);
        let state = &self.state;
        let mut complaints = Vec::new();
        self.reporters.retain_mut(|reporter| match reporter.on(event, state) {
            Ok(()) => true,
            Err(complaint) => {
                complaints.push(complaint);
                false
            }
        });
        for text in complaints {
            self.record(Kind::Warned { text });
        }
    }
}

#[async_trait]
impl ChildRegister for Log {
    async fn started(&self, pid: i32, start_ticks: u64, doing: &str) -> Result<(), String> {
        self.record(Kind::ChildStarted { pid, start_ticks, doing: doing.to_owned() });
        self.broken().map_or(Ok(()), Err)
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
    fn a_claim_that_cannot_be_right_leaves_the_journal_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = "20261121-101502-k3v7q2m7".parse().unwrap();
        let journal = Journal::create(dir.path(), run, Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, Arc::new(Redact::new()), Vec::new());
        let claim = |path: &str| log.claim(Claimed::Dir { path: path.into() }, &"swarm1".parse().unwrap());
        assert!(matches!(claim("/"), Err(JournalError::Flawed { .. })));
        assert_eq!(log.broken(), None);
        assert!(claim("/tmp/run/abra").is_ok());
    }
}
