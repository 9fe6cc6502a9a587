//! Any call of any port may fail, hang, or be repeated, once or from then on. The run then ends within its deadline, claims only
//! what it has verified, and names everything that it leaves behind. The negative controls at the end show that a harness without
//! one of these properties is noticed.
//!
//! `TASTER_FAULTS=all cargo test -p unit-tests --test simulated faults::` tries all faults; without it a sample is drawn.

use std::{collections::BTreeMap, path::Path, sync::OnceLock, time::Duration};

use harness::{
    journal,
    model::{
        outcome::{Outcome, Owner, Subject},
        request::DEFAULT_DEADLINE,
    },
    pure::{
        host::inventory::CleanupResult,
        run::{
            event::{Event, Kind},
            plan::Class,
            state::{RunState, fold},
            verdict::{VerdictOutcome, exit_code, verdict},
        },
    },
    report::results::Results,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use unit_tests::sim_faults::{Fault, FaultKind, Lasts};

use super::crash::{Scenario, paused};

/// How many faults are drawn.
const DRAWN: u32 = 110;
/// The calls that a green run needs answered as often as a run without fault.
const PROOFS: &[&str] =
    &["abra.new", "abra.deploy", "abra.backup-create", "abra.restore", "data.put", "data.get", "program.run_one", "web.get"];

/// The end of a run that met a fault.
struct FinishedRun {
    events: Vec<Event>,
    answered: BTreeMap<&'static str, u32>,
    leaked: Vec<String>,
    took: Duration,
}

impl FinishedRun {
    fn state(&self) -> RunState {
        self.events.iter().fold(RunState::default(), fold)
    }
}

/// The calls of a run without fault, in order, and how many of each name are answered.
struct Faultless {
    names: Vec<&'static str>,
    answered: BTreeMap<&'static str, u32>,
}

fn faultless() -> &'static Faultless {
    static FAULTLESS: OnceLock<Faultless> = OnceLock::new();
    FAULTLESS.get_or_init(|| {
        paused(async {
            let scenario = Scenario::with_fault(None);

            let finished = run_to_end(&scenario).await.unwrap();

            let state = finished.state();
            assert_eq!(
                (verdict(&state).outcome, exit_code(&state).code()),
                (VerdictOutcome::Green, 0),
                "{:?}",
                verdict(&state).reasons
            );
            let faultless = Faultless { names: scenario.run.names(), answered: finished.answered };
            let absent: Vec<_> = PROOFS.iter().filter(|name| !faultless.answered.contains_key(*name)).collect();
            assert!(absent.is_empty(), "{absent:?} are not calls of such a run: {:?}", faultless.answered);
            faultless
        })
    })
}

/// Takes the run to its end, and compares `results.json` with its journal.
async fn run_to_end(scenario: &Scenario) -> Result<FinishedRun, String> {
    let began = tokio::time::Instant::now();
    // Twice as long as any run may take, so that a run without end fails the test and does not hang it.
    let ended = tokio::time::timeout(DEFAULT_DEADLINE * 2, scenario.run_to_end(async || {})).await;
    ended.map_err(|_| "the run does not end".to_owned())?;
    let took = began.elapsed();
    let reading = journal::read(&scenario.folder()).map_err(|error| error.to_string())?;
    if !reading.unread.is_empty() || !reading.finished {
        return Err(format!("the journal: {:?}", reading.unread));
    }
    let mut leaked = scenario.leaked();
    leaked.extend(scenario.host.data.ids().into_iter().map(|id| format!("snapshot {id}")));
    let finished = FinishedRun { events: reading.events, answered: scenario.run.answered(), leaked, took };
    check_results(&scenario.folder(), &finished.state())?;
    Ok(finished)
}

fn check_results(folder: &Path, state: &RunState) -> Result<(), String> {
    let text = std::fs::read_to_string(folder.join("results.json")).map_err(|error| error.to_string())?;
    let results: Results = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let written = (&results.verdict, results.exit_code, results.finished.is_some());
    if written != (&verdict(state), exit_code(state).code(), true) || results.digest != results.computed_digest() {
        return Err(format!("results.json has {written:?}"));
    }
    Ok(())
}

/// The first claim of `state` that is false, or the first fact that it does not report.
fn check_claims(fault: Fault, finished: &FinishedRun, state: &RunState) -> Result<(), String> {
    let (verdict, exit) = (verdict(state), exit_code(state).code());
    let claim = || format!("{} with exit code {exit}: {:?}", verdict.outcome.name(), verdict.reasons);
    let plan = state.plan.as_ref().ok_or("it has no plan")?;
    let teardown = plan.steps.iter().filter(|planned| planned.class == Class::Always).map(|planned| planned.budget()).sum();
    if finished.took > DEFAULT_DEADLINE.saturating_add(teardown) {
        return Err(format!("it took {:?}", finished.took));
    }
    let answered_less =
        |name: &&&str| finished.answered.get(**name).unwrap_or(&0) < faultless().answered.get(**name).unwrap_or(&0);
    if let Some(call) = PROOFS.iter().find(answered_less).filter(|_| verdict.outcome == VerdictOutcome::Green) {
        return Err(format!("it is green, and {call} was not answered as often as it takes"));
    }
    // A head without errors makes the lint of base unnecessary.
    if verdict.outcome == VerdictOutcome::Green && !state.lint.contains_key(&Subject::Head) {
        return Err("it is green, and head was not linted".to_owned());
    }
    // An app that never answers is like an absent one. No other fault here is the recipe's.
    let silent = fault.port() == "web" && fault.lasts != Lasts::Once;
    if verdict.outcome == VerdictOutcome::Red && !silent {
        return Err(claim());
    }
    if exit == 6 || verdict.reasons.iter().any(|reason| reason.owner == Some(Owner::Harness)) {
        return Err(format!("a call that failed is not a defect of taster: {}", claim()));
    }
    if !finished.leaked.is_empty() && (exit != 4 || state.claims.is_empty()) {
        return Err(format!("{:?} is left and not reported: {}", finished.leaked, claim()));
    }
    // The run is alone on the host: an object that could not be read has neither changed nor vanished.
    if let Some(cleanup_result) = state
        .cleanup_result
        .as_ref()
        .filter(|cleanup_result| !cleanup_result.changed_bystanders.is_empty() || !cleanup_result.others.is_empty())
    {
        let CleanupResult { changed_bystanders, others, .. } = cleanup_result;
        return Err(format!("{changed_bystanders:?} {others:?} did not change"));
    }
    if exit == 0 && (verdict.outcome != VerdictOutcome::Green || !state.claims.is_empty()) {
        return Err(format!("{}, {:?}", claim(), state.claims));
    }
    Ok(())
}

/// Whether a run with the fault claims only the truth, and the janitor after it leaves nothing.
fn check_run_with(fault: Fault) -> Result<(), String> {
    let checked = paused(async {
        let scenario = Scenario::with_fault(Some(fault));
        let finished = run_to_end(&scenario).await?;
        check_claims(fault, &finished, &finished.state())?;
        scenario.janitor(true).await;
        scenario.check_end_state().map_err(|why| format!("after the janitor: {why}"))
    });
    checked.map_err(|why| format!("{fault}: {why}"))
}

#[test]
fn run_with_any_fault_ends_and_claims_only_the_truth() {
    let faults = Fault::all(&faultless().names);
    if std::env::var_os("TASTER_FAULTS").is_some() {
        let wrong: Vec<String> = faults.into_iter().filter_map(|fault| check_run_with(fault).err()).collect();
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        return;
    }
    let config = ProptestConfig { cases: DRAWN, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() };
    // The sample is the same each time, so that a new failure comes from a change of the code.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));

    let tried = runner.run(&prop::sample::select(faults), |fault| check_run_with(fault).map_err(TestCaseError::fail));

    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// A property that a harness may lack.
#[derive(Debug, Clone, Copy)]
enum Lacking {
    /// A step that could not verify anything is unverified.
    Unverified,
    /// The owner of a failure is the side that caused it.
    Owner,
    /// An object that is claimed and not removed stays claimed.
    Leaks,
}

/// The event as a harness without the property writes it.
fn without(lacking: Lacking, event: &Event) -> Event {
    let mut event = event.clone();
    match (lacking, &mut event.kind) {
        (Lacking::Unverified, Kind::StepFinished { outcome, .. }) => *outcome = Outcome::Passed,
        (Lacking::Owner, Kind::StepFinished { outcome: Outcome::Failed(failure), .. }) => failure.owner = Owner::Recipe,
        _ => {}
    }
    event
}

#[test]
fn harness_that_lacks_a_property_is_noticed() {
    let failing_from_first = |name: &str| {
        let at = faultless().names.iter().position(|known| *known == name).unwrap();
        let (call, name) = (u32::try_from(at).unwrap() + 1, faultless().names[at]);
        Fault { call, name, kind: FaultKind::Fails, lasts: Lasts::Name }
    };
    for (lacking, name, noticed) in [
        (Lacking::Unverified, "abra.lint", "it is green, and"),
        (Lacking::Owner, "abra.backup-create", "red with exit code"),
        (Lacking::Leaks, "swarm.remove", "is left and not reported"),
    ] {
        let fault = failing_from_first(name);
        let finished = paused(async { run_to_end(&Scenario::with_fault(Some(fault))).await.unwrap() });
        assert_eq!(check_claims(fault, &finished, &finished.state()), Ok(()), "{fault}");

        let events = finished.events.iter().map(|event| without(lacking, event));
        let mut state = events.fold(RunState::default(), |state, event| fold(state, &event));
        if matches!(lacking, Lacking::Leaks) {
            (state.claims, state.cleanup_result) = (Default::default(), None);
        }
        let checked = check_claims(fault, &finished, &state);

        assert!(checked.as_ref().is_err_and(|why| why.contains(noticed)), "{lacking:?}: {checked:?}");
    }
}
