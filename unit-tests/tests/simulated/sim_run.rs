//! Whole runs on a simulated host, in paused time: how a run is started, and named expectations on how it ends.
//!
//! Every finished run has valid results, whole documents, no leaked secret, and a journal that is settled exactly if nothing
//! leaked.
//! A failed expectation prints the whole results.

use std::{collections::BTreeSet, fmt, fs, sync::Arc, time::Duration};

use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::{self, History, Run, log::Log},
    journal::{self, Journal},
    model::{
        host::Host,
        outcome::{Owner, Status, Tier},
        pack::TestName,
        request::{Request, Tests},
    },
    ports::RunFolder,
    pure::run::{
        plan::{Plan, plan},
        verdict::{VerdictOutcome, exit_code, verdict},
    },
    redact::Redact,
    report::{
        reporters,
        results::{Results, StepResult},
    },
};
use unit_tests::{
    event_log::request,
    sim_host::{SimHost, leaked_objects},
};

use crate::crash::paused;

/// A secret that every simulated run knows.
const SECRET: &str = "hunter22hunter22";
const HOST_FILE: &str = "zone = \"taster.test\"";
/// The beginnings of all warnings that the tests cause.
const EXPECTED_WARNINGS: [&str; 6] = [
    "head has lint errors",
    "the pack repairs",
    "posts::three: was",
    "gone.txt of posts::one",
    "leak.png of posts::one",
    "the PostgreSQL database of app is copied while it runs",
];

/// A run that has not started.
#[must_use]
pub(crate) struct RunBuilder<'a> {
    host: SimHost,
    host_file: String,
    request: Request,
    history: History,
    signal: Option<(Duration, i32)>,
    change_plan: Box<dyn Fn(&mut Plan) + 'a>,
    case: String,
}

/// A run on `host` through tier install, without signals and without earlier runs.
pub(crate) fn run_on<'a>(host: SimHost) -> RunBuilder<'a> {
    RunBuilder {
        host,
        host_file: HOST_FILE.into(),
        request: request(&[Tier::Install]),
        history: History::default(),
        signal: None,
        change_plan: Box::new(|_| {}),
        case: String::new(),
    }
}

impl<'a> RunBuilder<'a> {
    /// The tiers to run.
    pub(crate) fn tiers(mut self, tiers: &[Tier]) -> Self {
        self.request.tiers = tiers.iter().copied().collect();
        self
    }

    /// Which tests are run, and how.
    pub(crate) fn tests(mut self, tests: Tests) -> Self {
        self.request.tests = tests;
        self
    }

    /// The whole request.
    pub(crate) fn request(self, request: Request) -> Self {
        Self { request, ..self }
    }

    /// A further line of the host file.
    pub(crate) fn host_line(mut self, line: &str) -> Self {
        self.host_file = format!("{}\n{line}\n", self.host_file);
        self
    }

    /// The host has a backup service.
    pub(crate) fn with_backup_service(self) -> Self {
        self.host_line("backup = \"bot\"")
    }

    /// The last green run had these tests.
    pub(crate) fn after_green_run_with(self, tests: BTreeSet<TestName>) -> Self {
        Self { history: History { tests }, ..self }
    }

    /// Taster gets signal `number` after that time.
    pub(crate) fn signal(self, after: Duration, number: i32) -> Self {
        Self { signal: Some((after, number)), ..self }
    }

    /// The run follows the plan that `change` makes of the harness's plan.
    pub(crate) fn change_plan(self, change: impl Fn(&mut Plan) + 'a) -> Self {
        Self { change_plan: Box::new(change), ..self }
    }

    /// The row of a table that this run is; a failed expectation prints it.
    pub(crate) fn case(self, case: impl fmt::Debug) -> Self {
        Self { case: format!("{case:?}"), ..self }
    }

    /// Performs the run to its end and expects this verdict with its usual exit code.
    #[track_caller]
    pub(crate) fn expect(self, outcome: VerdictOutcome) -> FinishedRun {
        self.finish().expect(outcome)
    }

    /// Performs the run to its end.
    #[track_caller]
    pub(crate) fn finish(self) -> FinishedRun {
        let Self { host, host_file, request, history, signal, change_plan, case } = self;
        paused(async {
            let runs = tempfile::tempdir().unwrap();
            let folder = Folder::of(runs.path(), &"20261121-101502-aebagbaf".parse().unwrap());
            let redact = Arc::new(Redact::new());
            redact.learn(SECRET);
            let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
            let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
            let log = Log::new(journal, redact.clone(), reporters(&run_folder, &redact));
            let ports = host.ports();
            let host_file = Host::parse(&host_file).unwrap();
            let run = Run { history, host: host_file, signals: signals(signal), ..host.new_run(request, &ports, &log, &folder) };
            let changed_plan = |request: &_, facts: &_, limits: &_| {
                let mut plan = plan(request, facts, limits)?;
                change_plan(&mut plan);
                Ok(plan)
            };

            let state = engine::run_with_planner(changed_plan, run).await;

            drop(log);
            let results = read_results(&folder);
            let (verdict, exit) = (verdict(&state), exit_code(&state).code());
            assert_eq!((&results.verdict, results.exit_code), (&verdict, exit), "the results have the verdict of the run");
            let files = host.files().into_iter().map(|file| file.display().to_string());
            let leaked: Vec<String> = leaked_objects(&host.names()).into_iter().map(str::to_owned).chain(files).collect();
            assert_eq!(journal::read(folder.root()).unwrap().settled(), leaked.is_empty(), "the journal says what leaked");
            FinishedRun {
                outcome: verdict.outcome,
                exit,
                reason: verdict.reasons.first().map(|reason| reason.sentence.clone()).unwrap_or_default(),
                leaked,
                results,
                evidence_tails: state.evidence.iter().map(|kept| kept.tail.clone()).collect(),
                case,
                step: None,
            }
        })
    }
}

fn signals(signal: Option<(Duration, i32)>) -> BoxStream<'static, i32> {
    let Some((after, number)) = signal else { return stream::pending().boxed() };
    let sent = async move {
        tokio::time::sleep(after).await;
        number
    };
    stream::once(sent).chain(stream::pending()).boxed()
}

/// The results of a run, which are valid and have only expected warnings; the other documents are whole.
fn read_results(folder: &Folder) -> Results {
    let read = |file: &str| fs::read_to_string(folder.root().join(file)).unwrap();
    let text = read("results.json");
    crate::schema::validate(&serde_json::from_str(&text).unwrap()).unwrap();
    let results: Results = serde_json::from_str(&text).unwrap();
    assert_eq!(results.digest, results.computed_digest());
    let expected = |warning: &String| EXPECTED_WARNINGS.iter().any(|beginning| warning.starts_with(beginning));
    assert!(results.flags.no_secret_leak && results.warnings.iter().all(expected), "{:?}", results.warnings);
    for (file, end) in [("junit.xml", "</testsuites>"), ("report.html", "</html>"), ("badge.svg", "</svg>")] {
        assert!(read(file).trim_end().ends_with(end), "{file} is whole");
    }
    results
}

/// A run that has ended. Each expectation panics where it does not hold.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// The verdict.
    pub(crate) outcome: VerdictOutcome,
    pub(crate) exit: u8,
    /// The first reason of the verdict; empty if there is none.
    pub(crate) reason: String,
    /// The names of objects, and the paths of files, that the run leaked.
    pub(crate) leaked: Vec<String>,
    pub(crate) results: Results,
    /// The ends of the texts that were kept as evidence, as events carry them.
    pub(crate) evidence_tails: Vec<String>,
    case: String,
    /// The step that the last expectation named.
    step: Option<String>,
}

impl FinishedRun {
    #[track_caller]
    fn ensure(self, holds: bool, problem: impl FnOnce(&Self) -> String) -> Self {
        let Self { case, reason, results, .. } = &self;
        assert!(holds, "{case}: {}\nthe first reason: {reason}\nthe results: {results:#?}", problem(&self));
        self
    }

    /// Expects this verdict with its usual exit code.
    #[track_caller]
    pub(crate) fn expect(self, outcome: VerdictOutcome) -> Self {
        let exit = match outcome {
            VerdictOutcome::Green => 0,
            VerdictOutcome::Red => 1,
            VerdictOutcome::Inconclusive => 3,
        };
        self.expect_with_exit(outcome, exit)
    }

    /// Expects this verdict with an exit code that says more.
    #[track_caller]
    pub(crate) fn expect_with_exit(self, outcome: VerdictOutcome, exit: u8) -> Self {
        let holds = (self.outcome, self.exit) == (outcome, exit);
        self.ensure(holds, |run| {
            format!("the run is {:?} with exit code {}, and not {outcome:?} with {exit}", run.outcome, run.exit)
        })
    }

    /// Expects `text` in the first reason of the verdict.
    #[track_caller]
    pub(crate) fn reason(self, text: &str) -> Self {
        let holds = self.reason.contains(text);
        self.ensure(holds, |_| format!("the first reason lacks {text:?}"))
    }

    /// Expects the owner of the verdict.
    #[track_caller]
    pub(crate) fn owner(self, owner: Owner) -> Self {
        let holds = self.results.owner == Some(owner);
        self.ensure(holds, |run| format!("the owner is {:?}, not {owner:?}", run.results.owner))
    }

    /// Expects that the verdict has no owner.
    #[track_caller]
    pub(crate) fn no_owner(self) -> Self {
        let holds = self.results.owner.is_none();
        self.ensure(holds, |run| format!("the owner is {:?}", run.results.owner))
    }

    /// The status of a tier.
    #[track_caller]
    pub(crate) fn tier_status(&self, tier: Tier) -> Status {
        self.results.results[tier.name()]
    }

    /// Expects the status of a tier.
    #[track_caller]
    pub(crate) fn tier(self, tier: Tier, status: Status) -> Self {
        let found = self.tier_status(tier);
        self.ensure(found == status, |_| format!("tier {tier} is {found:?}, not {status:?}"))
    }

    /// The results of a step.
    #[track_caller]
    pub(crate) fn entry(&self, step: &str) -> &StepResult {
        self.results.step(step).unwrap_or_else(|| panic!("{}: the results have no step {step}", self.case))
    }

    /// Expects the status of a step. Further expectations on a step speak of this one.
    #[track_caller]
    pub(crate) fn step(mut self, step: &str, status: Status) -> Self {
        let found = self.entry(step).status;
        self.step = Some(step.into());
        self.ensure(found == status, |_| format!("step {step} is {found:?}, not {status:?}"))
    }

    #[track_caller]
    fn named(&self) -> &StepResult {
        self.entry(self.step.as_deref().expect("`step` names the step first"))
    }

    /// Expects `text` in the summary of the step.
    #[track_caller]
    pub(crate) fn summary(self, text: &str) -> Self {
        let holds = self.named().summary.contains(text);
        self.ensure(holds, |run| format!("the summary {:?} lacks {text:?}", run.named().summary))
    }

    /// Expects that the step has one check.
    #[track_caller]
    pub(crate) fn one_check(self) -> Self {
        let checks = self.named().tests.len();
        self.ensure(checks == 1, |_| format!("the step has {checks} checks"))
    }

    /// Expects how many attempts of the step failed before its last one.
    #[track_caller]
    pub(crate) fn failed_attempts(self, count: usize) -> Self {
        let found = self.named().attempts.len();
        self.ensure(found == count, |_| format!("{found} attempts failed, not {count}"))
    }

    /// Expects whether the step is flaky.
    #[track_caller]
    pub(crate) fn flaky(self, flaky: bool) -> Self {
        let found = self.named().flaky;
        self.ensure(found == flaky, |_| format!("that the step is flaky is {found}"))
    }

    /// Expects a warning.
    #[track_caller]
    pub(crate) fn warning(self, text: &str) -> Self {
        let holds = self.results.warnings.iter().any(|warning| warning == text);
        self.ensure(holds, |_| format!("there is no warning {text:?}"))
    }

    /// Expects `text` in a remark.
    #[track_caller]
    pub(crate) fn remark(self, text: &str) -> Self {
        let holds = self.results.remarks.iter().any(|remark| remark.contains(text));
        self.ensure(holds, |_| format!("no remark has {text:?}"))
    }

    /// Expects that the command that repeats the run ends so.
    #[track_caller]
    pub(crate) fn repeat_ends_with(self, text: &str) -> Self {
        let holds = self.results.repeat.ends_with(text);
        self.ensure(holds, |run| format!("{:?} does not end with {text:?}", run.results.repeat))
    }

    /// Expects that the run leaked no object and no file.
    #[track_caller]
    pub(crate) fn nothing_leaked(self) -> Self {
        let holds = self.leaked.is_empty();
        self.ensure(holds, |run| format!("leaked: {:?}", run.leaked))
    }
}
