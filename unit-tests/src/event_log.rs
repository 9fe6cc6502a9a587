//! A builder of event logs, for tests of decisions that follow from events.

use std::collections::BTreeSet;

use harness::{
    model::{
        head::Head,
        host::{Host, Limits},
        outcome::{Cause, Failure, Outcome, Owner, Subject, Tier},
        pack::{CustomTest, Origin, Pack, TestKind, TestName},
        refusal::Refusal,
        request::{Authoring, Extent, Request, Source, Tests},
        time::{Mono, Wall},
    },
    pure::{
        host::{claim::Claimed, converge::TaskState, inventory::CleanupResult},
        recipe::{
            compose::{Entry, Tree},
            lint,
            release::ReleaseFaults,
            upgrade_base::Base,
        },
        run::{
            event::{Cancel, Event, JOURNAL_VERSION, Kind, Note, TaskSeen},
            facts::{Facts, recipe},
            plan::{Plan, StepId, plan},
            state::{RunState, fold},
        },
    },
};

use crate::lint_table::lint_table;

/// A run so far.
#[derive(Debug, Clone, Default)]
pub struct EventLog {
    /// Its events.
    pub events: Vec<Event>,
}

/// A request for `hello` through `tiers`.
pub fn request(tiers: &[Tier]) -> Request {
    Request {
        recipe: "hello".parse().expect("a name"),
        source: Source::Catalogue { at: None },
        tiers: tiers.iter().copied().collect::<BTreeSet<_>>(),
        base: None,
        extent: Extent::default(),
        tests: Tests::default(),
        deadline: harness::model::request::DEFAULT_DEADLINE,
        host_file: None,
        offline: None,
        pr: None,
        trigger: None,
        authoring: Authoring::default(),
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

/// The files of a recipe with one service, with a health check that allows `start_period` to start, or without one.
pub fn tree(start_period: Option<&str>) -> Tree {
    let health = start_period.map(|period| format!("    healthcheck: {{test: [CMD, \"true\"], start_period: {period}}}\n"));
    let labels = "    deploy:\n      labels: [\"coop-cloud.${STACK_NAME}.version=2.0.0+1.1.0\"]\n";
    let compose = format!("version: \"3.8\"\nservices:\n  app:\n    image: bb:1\n{labels}{}", health.unwrap_or_default());
    [("compose.yml", compose.as_str()), (".env.sample", "TYPE=hello\nDOMAIN=hello.example.com\n")]
        .map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned())))
        .into_iter()
        .collect()
}

/// The facts of such a run, from these files.
///
/// # Panics
/// If the files cannot be read as one app.
pub fn facts(tree: Tree) -> Facts {
    let head = head();
    let resolved = recipe::resolved(&tree, &head.domain, &head.stack).expect("files that can be read");
    let base = Base::none("no upgrade was asked for");
    Facts {
        needs: recipe::needs(&resolved),
        head,
        tree,
        resolved,
        against: base.clone(),
        base,
        base_files: None,
        left_out: Vec::new(),
        faults: ReleaseFaults::default(),
        pack: Pack::default(),
    }
}

/// A pack with a roundtrip and a distinctive test.
pub fn pack() -> Pack {
    let test = |name, kind| CustomTest {
        name: TestName::of_test("posts", name),
        kind,
        file: "custom/posts.rs".into(),
        origin: Origin::Pack,
        flaw: None,
    };
    let tests = vec![test("one", TestKind::Roundtrip), test("two", TestKind::Distinctive)];
    Pack { tests, ..Pack::default() }
}

/// The plan for a request on a host without limits, for files that ask for nothing special.
///
/// # Panics
/// Never, because such a request is not refused.
pub fn planned(request: &Request) -> Plan {
    plan(request, &facts(tree(None)), &Limits::default()).expect("a plan")
}

/// A failure owned by `owner`.
pub fn failure(owner: Owner) -> Failure {
    Failure::new(Cause::Assertion, format!("the fault of {owner}")).owned_by(owner)
}

/// An observation of the first task of service `app`.
pub fn task(state: TaskState, exit: Option<i32>, error: &str) -> TaskSeen {
    TaskSeen { service: "app".into(), task: "t1".parse().expect("a task"), slot: Some(1), state, exit, error: error.into() }
}

/// Finished runs of every kind, each with a name. Their texts contain the characters that a log may contain.
pub fn endings() -> Vec<(&'static str, EventLog)> {
    const TIER: [&str; 6] = ["provision", "deploy", "verify-compose", "http", "stable", "still-stable"];
    const HOSTILE: &str = "<b>&\"'</b> ]]> \u{1b}[31mred\u{1b}[0m \u{0}\u{fffe}";
    let install = &[Tier::Install];
    let seen = |log: EventLog, seen| log.then(Kind::TaskChanged { step: StepId("deploy".into()), seen });
    let begun = || {
        let log = EventLog::planned(install).noted(Note::Tool { tool: "abra".into(), version: "0.13.0-sandbox".into() });
        let log = log.noted(Note::Domain { domain: head().domain }).pass(&["provision"]).starts("deploy");
        seen(seen(log, task(TaskState::Pending, None, "")), task(TaskState::Starting, None, ""))
    };
    let ended = |log: EventLog| log.pass(&["undeploy", "cleanup"]);
    let deployed = Kind::StepFinished { step: StepId("deploy".into()), outcome: Outcome::Passed };
    let image = Note::Image { service: "app".into(), image: "nginx:1@sha256:00".into() };
    let green = || {
        let log = seen(begun(), task(TaskState::Running, None, "")).noted(image.clone()).noted(Note::Deployed);
        ended(log.then(deployed.clone()).pass(&["verify-compose", "http", "stable", "still-stable"]))
    };
    let failed = |owner| {
        let waits = Kind::Observed { step: StepId("deploy".into()), waiting_for: vec![format!("app: {HOSTILE}")] };
        let log = seen(begun().then(waits), task(TaskState::Failed, Some(3), "task: non-zero exit (3)"));
        let failure = Failure { evidence: "evidence/deploy.txt".into(), ..failure(owner).with_output(HOSTILE) };
        let step = StepId("deploy".into());
        let (file, what) = ("evidence/deploy.txt".into(), "services and tasks".into());
        let log = log.then(Kind::EvidenceKept { step: step.clone(), file, what, tail: HOSTILE.into() });
        let outcome = Outcome::Failed(failure);
        let check = "all services settle".to_owned();
        let log = log.then(Kind::CheckFinished { step: step.clone(), check, outcome: outcome.clone() });
        ended(log.then(Kind::StepFinished { step, outcome })).then(Kind::Warned { text: HOSTILE.into() })
    };
    let left = CleanupResult {
        leaked: vec!["volume shop_data".into()],
        changed_bystanders: vec![HOSTILE.into()],
        others: vec!["service their_app changed".into(); 300],
        ignored: vec![HOSTILE.into()],
    };
    let asked = Refusal::Request { sentence: "the recipe has no tag \"9.9\"".into() };
    let unfit = Refusal::Facts(failure(Owner::Infrastructure));
    let claimed = Kind::Claimed { engine: "e1".parse().expect("an engine"), what: Claimed::Stack { name: head().stack } };
    let signalled = Cancel::Signal { signal: 15 };
    vec![
        ("green", green().compared(CleanupResult::default()).ends()),
        ("green with leaked objects", green().compared(left.clone()).ends()),
        ("red", failed(Owner::Recipe).compared(CleanupResult::default()).ends()),
        ("infrastructure failed", failed(Owner::Infrastructure).compared(left).ends()),
        ("harness failed", failed(Owner::Harness).ends()),
        ("refused by request", ended(EventLog::begun(install).under(Plan::refused(asked))).ends()),
        ("refused by facts", ended(EventLog::begun(install).under(Plan::refused(unfit))).ends()),
        ("ended before the plan", EventLog::begun(install).cancelled(signalled.clone()).under(Plan::ended_early()).ends()),
        ("ended in the deploy", ended(begun().then(claimed).cancelled(signalled)).ends()),
        ("ended at the deadline", begun().cancelled(Cancel::Deadline).compared(CleanupResult::default()).ends()),
        ("without a journal", EventLog::planned(install).cancelled(Cancel::Journal { message: HOSTILE.into() }).ends()),
        (
            "upgrade asked too",
            EventLog::planned(&[Tier::Install, Tier::Upgrade]).pass(&TIER).compared(CleanupResult::default()).ends(),
        ),
        ("nothing asked", EventLog::planned(&[]).pass(&TIER).ends()),
    ]
}

/// The run of [`endings`] with this name.
///
/// # Panics
/// If there is none.
pub fn ending(name: &str) -> EventLog {
    endings().into_iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no ending {name}")).1
}

/// All beginnings of these runs, from the one without any event on: what a journal may be cut to.
pub fn beginnings() -> impl Iterator<Item = (String, RunState)> {
    endings().into_iter().flat_map(|(name, log)| {
        (0..=log.events.len()).map(move |len| {
            let events = &log.events[..len];
            (format!("{name}, cut after {len} events"), events.iter().fold(RunState::default(), fold))
        })
    })
}

impl EventLog {
    /// A run of `hello` through `tiers` that has begun.
    pub fn begun(tiers: &[Tier]) -> Self {
        Self::default().then(Kind::RunStarted {
            version: JOURNAL_VERSION,
            run: "20261121-101502-aebagbaf".parse().expect("a run id"),
            taster: "0.0.0".into(),
            commit: None,
            request: request(tiers),
            host: Host::parse("zone = \"taster.test\"").expect("a host"),
        })
    }

    /// The same, planned as the harness plans it, and with a head that is free of lint.
    pub fn planned(tiers: &[Tier]) -> Self {
        Self::begun(tiers).under(planned(&request(tiers))).linted(Subject::Head, &[]).pass(&["lint"])
    }

    /// Lint says that base or head breaks these rules and no others.
    ///
    /// # Panics
    /// If lint's table cannot be read.
    pub fn linted(self, subject: Subject, broken: &[&str]) -> Self {
        self.noted(Note::Linted { subject, linted: lint::parse(&lint_table(broken)).expect("a table") })
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
        steps.iter().fold(self, |log, step| log.step(step, Outcome::Passed))
    }

    /// The run is to end early.
    pub fn cancelled(self, why: Cancel) -> Self {
        self.then(Kind::CancelRequested { why })
    }

    /// The inventories were compared.
    pub fn compared(self, cleanup_result: CleanupResult) -> Self {
        self.then(Kind::InventoryCompared { cleanup_result })
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
