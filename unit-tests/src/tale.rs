//! A run told event by event, for tests of what follows from events.

use std::collections::BTreeSet;

use harness::{
    event::{Cancel, Event, JOURNAL_VERSION, Kind, Note},
    model::{
        host::Host,
        outcome::{Cause, Failure, Outcome, Owner, Tier},
        request::{Request, Source},
        time::{Mono, Wall},
    },
    plan::{Head, Plan, StepId, plan},
    state::{RunState, fold},
    world::Hygiene,
};

/// A run so far.
#[derive(Debug, Clone, Default)]
pub struct Tale {
    /// Its events.
    pub events: Vec<Event>,
}

/// A request for `hello` through `tiers`.
pub fn request(tiers: &[Tier]) -> Request {
    Request {
        recipe: "hello".parse().expect("a name"),
        source: Source::Catalogue { at: None },
        tiers: tiers.iter().copied().collect::<BTreeSet<_>>(),
        deadline: harness::model::request::DEFAULT_DEADLINE,
        host_file: None,
        offline: None,
    }
}

/// The head of such a run.
pub fn head() -> Head {
    Head {
        recipe: "hello".parse().expect("a name"),
        version: Some("2.0.0+1.1.0".into()),
        commit: "0123456789012345678901234567890123456789".parse().expect("a commit"),
        dirty: false,
        domain: "hello-aebagbaf.taster.test".parse().expect("a domain"),
        stack: "hello-aebagbaf_taster_test".parse().expect("a stack"),
    }
}

/// A failure owned by `owner`.
pub fn failure(owner: Owner) -> Failure {
    Failure::new(Cause::Assertion, format!("the fault of {owner}")).owned_by(owner)
}

impl Tale {
    /// A run of `hello` through `tiers` that has begun.
    pub fn begun(tiers: &[Tier]) -> Self {
        Self::default().then(Kind::RunStarted {
            version: JOURNAL_VERSION,
            run: "20261121-101502-aebagbaf".parse().expect("a run id"),
            taster: "0.0.0".into(),
            request: request(tiers),
            host: Host::parse("zone = \"taster.test\"").expect("a host"),
        })
    }

    /// The same, planned as the harness plans it.
    pub fn planned(tiers: &[Tier]) -> Self {
        Self::begun(tiers).under(plan(&request(tiers), head()))
    }

    /// Goes on under `plan`.
    pub fn under(self, plan: Plan) -> Self {
        self.then(Kind::Planned { plan })
    }

    /// One more event.
    pub fn then(mut self, kind: Kind) -> Self {
        let seq = self.events.len() as u64 + 1;
        let at = Wall::from_millis(1_795_255_302_000 + seq as i64 * 100);
        self.events.push(Event { seq, at, mono: Mono(seq * 100), kind });
        self
    }

    /// A step begins.
    pub fn starts(self, step: &str) -> Self {
        self.then(Kind::StepStarted { step: StepId(step.into()), attempt: 1 })
    }

    /// A step begins and ends.
    pub fn step(self, step: &str, outcome: Outcome) -> Self {
        self.starts(step).then(Kind::StepFinished { step: StepId(step.into()), outcome })
    }

    /// These steps begin and pass.
    pub fn pass(self, steps: &[&str]) -> Self {
        steps.iter().fold(self, |tale, step| tale.step(step, Outcome::Passed))
    }

    /// The run is to end early.
    pub fn cancelled(self, why: Cancel) -> Self {
        self.then(Kind::CancelRequested { why })
    }

    /// The worlds were compared.
    pub fn compared(self, hygiene: Hygiene) -> Self {
        self.then(Kind::WorldCompared { hygiene })
    }

    /// A fact is noted.
    pub fn noted(self, note: Note) -> Self {
        self.then(Kind::Noted { note })
    }

    /// The run ends.
    pub fn ends(self) -> Self {
        self.then(Kind::RunFinished)
    }

    /// What follows from all that.
    pub fn state(&self) -> RunState {
        self.events.iter().fold(RunState::default(), fold)
    }
}
