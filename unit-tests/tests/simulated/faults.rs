//! Any call of any port may fail, hang, or be done twice, once or from then on: the run ends in its time, says nothing that it does not
//! know, and leaves nothing that it does not tell. The controls at the end show that a harness which lacks one of its truths is noticed.
//!
//! `TASTER_FAULTS=all cargo test -p unit-tests --test pure faults::` goes through all faults; without it some are drawn.

use std::{collections::BTreeMap, path::Path, sync::OnceLock, time::Duration};

use harness::{
    journal,
    model::{
        outcome::{Outcome, Owner, Subject},
        request::DEFAULT_DEADLINE,
    },
    pure::run::{
        event::{Event, Kind},
        plan::Class,
        state::{RunState, fold},
        verdict::{VerdictOutcome, exit_code, verdict},
    },
    report::results::Results,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use unit_tests::sim_faults::{Fault, Kind as Does, Lasts};

use super::crash::{Story, paused};

/// How many faults are drawn.
const DRAWN: u32 = 110;
/// What cannot pass for done unless it was answered as often as in a run that meets no fault.
const PROOFS: &[&str] =
    &["abra.new", "abra.deploy", "abra.backup-create", "abra.restore", "data.put", "data.get", "program.run_one", "web.get"];

/// What a run that met a fault told, and what it left.
struct Met {
    events: Vec<Event>,
    answered: BTreeMap<&'static str, u32>,
    left: Vec<String>,
    took: Duration,
}

impl Met {
    fn state(&self) -> RunState {
        self.events.iter().fold(RunState::default(), fold)
    }
}

/// A run that meets no fault, the calls that it makes, and how many are answered.
struct Well {
    names: Vec<&'static str>,
    answered: BTreeMap<&'static str, u32>,
}

fn well() -> &'static Well {
    static WELL: OnceLock<Well> = OnceLock::new();
    WELL.get_or_init(|| {
        paused(async {
            let story = Story::meeting(None);
            let met = met(&story).await.unwrap();
            let state = met.state();
            assert_eq!(
                (verdict(&state).outcome, exit_code(&state).code()),
                (VerdictOutcome::Green, 0),
                "{:?}",
                verdict(&state).reasons
            );
            let well = Well { names: story.run.names(), answered: met.answered };
            let unseen: Vec<_> = PROOFS.iter().filter(|name| !well.answered.contains_key(*name)).collect();
            assert!(unseen.is_empty(), "{unseen:?} are calls of such a run: {:?}", well.answered);
            well
        })
    })
}

/// Takes the run to its end, and holds what it wrote against what its journal says.
async fn met(story: &Story) -> Result<Met, String> {
    let began = tokio::time::Instant::now();
    // Twice as long as any run may take: one that goes on for ever is a finding, not a test that hangs.
    let ended = tokio::time::timeout(DEFAULT_DEADLINE * 2, story.live(async || {})).await;
    ended.map_err(|_| "the run does not end".to_owned())?;
    let took = began.elapsed();
    let reading = journal::read(&story.folder()).map_err(|error| error.to_string())?;
    if !reading.unread.is_empty() || !reading.finished {
        return Err(format!("the journal: {:?}", reading.unread));
    }
    let mut left = story.left();
    left.extend(story.host.data.ids().into_iter().map(|id| format!("snapshot {id}")));
    let met = Met { events: reading.events, answered: story.run.answered(), left, took };
    written(&story.folder(), &met.state())?;
    Ok(met)
}

fn written(folder: &Path, state: &RunState) -> Result<(), String> {
    let text = std::fs::read_to_string(folder.join("results.json")).map_err(|error| error.to_string())?;
    let results: Results = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let told = (&results.verdict, results.exit_code, results.finished.is_some());
    if told != (&verdict(state), exit_code(state).code(), true) || results.digest != results.computed_digest() {
        return Err(format!("results.json says {told:?}"));
    }
    Ok(())
}

/// What of a run that met a fault is not true, or is not told.
fn judge(fault: Fault, met: &Met, state: &RunState) -> Result<(), String> {
    let (verdict, exit) = (verdict(state), exit_code(state).code());
    let told = || format!("{} with exit code {exit}: {:?}", verdict.outcome.name(), verdict.reasons);
    let plan = state.plan.as_ref().ok_or("it has no plan")?;
    let teardown = plan.steps.iter().filter(|planned| planned.class == Class::Always).map(|planned| planned.budget()).sum();
    if met.took > DEFAULT_DEADLINE.saturating_add(teardown) {
        return Err(format!("it took {:?}", met.took));
    }
    let lacks = |name: &&&str| met.answered.get(**name).unwrap_or(&0) < well().answered.get(**name).unwrap_or(&0);
    if let Some(lacking) = PROOFS.iter().find(lacks).filter(|_| verdict.outcome == VerdictOutcome::Green) {
        return Err(format!("it is green, and {lacking} was not answered as often as it takes"));
    }
    // Without errors in head nothing of base's lint is needed.
    if verdict.outcome == VerdictOutcome::Green && !state.lint.contains_key(&Subject::Head) {
        return Err("it is green, and head was not linted".to_owned());
    }
    // An app that does not answer for good is as if it were not there; nothing else here is the recipe's word.
    let silent = fault.port() == "web" && fault.lasts != Lasts::Once;
    if verdict.outcome == VerdictOutcome::Red && !silent {
        return Err(told());
    }
    if exit == 6 || verdict.reasons.iter().any(|reason| reason.owner == Some(Owner::Harness)) {
        return Err(format!("a call that failed is no defect of taster: {}", told()));
    }
    if !met.left.is_empty() && (exit != 4 || state.claims.is_empty()) {
        return Err(format!("{:?} is left, and that is not told: {}", met.left, told()));
    }
    // Nobody else is there: what could not be read has neither changed nor vanished.
    if let Some(cleanup_result) = state
        .cleanup_result
        .as_ref()
        .filter(|cleanup_result| !cleanup_result.changed_bystanders.is_empty() || !cleanup_result.others.is_empty())
    {
        return Err(format!("nobody changed {:?} {:?}", cleanup_result.changed_bystanders, cleanup_result.others));
    }
    if exit == 0 && (verdict.outcome != VerdictOutcome::Green || !state.claims.is_empty()) {
        return Err(format!("{}, {:?}", told(), state.claims));
    }
    Ok(())
}

/// What of the run that meets the fault is not as it should be. The janitor comes after it.
fn holds(fault: Fault) -> Result<(), String> {
    let held = paused(async {
        let story = Story::meeting(Some(fault));
        let met = met(&story).await?;
        judge(fault, &met, &met.state())?;
        story.janitor(true).await;
        story.judge().map_err(|why| format!("after the janitor: {why}"))
    });
    held.map_err(|why| format!("{fault}: {why}"))
}

#[test]
fn a_run_ends_truthfully_whatever_a_call_does() {
    let faults = Fault::all(&well().names);
    if std::env::var_os("TASTER_FAULTS").is_some() {
        let wrong: Vec<String> = faults.into_iter().filter_map(|fault| holds(fault).err()).collect();
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        return;
    }
    let config = ProptestConfig { cases: DRAWN, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() };
    // The same each time, so that a run of the tests says of a change what the last one said; all of them are a command of their own.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tried = runner.run(&prop::sample::select(faults), |fault| holds(fault).map_err(TestCaseError::fail));
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// A truth that a harness may lack.
#[derive(Debug, Clone, Copy)]
enum Lacks {
    /// What could not be looked at counts as seen.
    Unverified,
    /// What failed is the recipe's.
    Owner,
    /// What was claimed counts as gone.
    Residue,
}

fn without(lacks: Lacks, event: &Event) -> Event {
    let mut event = event.clone();
    match (lacks, &mut event.kind) {
        (Lacks::Unverified, Kind::StepFinished { outcome, .. }) => *outcome = Outcome::Passed,
        (Lacks::Owner, Kind::StepFinished { outcome: Outcome::Failed(failure), .. }) => failure.owner = Owner::Recipe,
        _ => {}
    }
    event
}

#[test]
fn a_harness_that_lacks_a_truth_is_noticed() {
    let first = |name: &str| {
        let at = well().names.iter().position(|known| *known == name).unwrap();
        let (call, name) = (u32::try_from(at).unwrap() + 1, well().names[at]);
        Fault { call, name, kind: Does::Fails, lasts: Lasts::Name }
    };
    for (lacks, name, noticed) in [
        (Lacks::Unverified, "abra.lint", "it is green, and"),
        (Lacks::Owner, "abra.backup-create", "red with exit code"),
        (Lacks::Residue, "swarm.remove", "is left, and that is not told"),
    ] {
        let fault = first(name);
        let met = paused(async { met(&Story::meeting(Some(fault))).await.unwrap() });
        assert_eq!(judge(fault, &met, &met.state()), Ok(()), "{fault}");
        let mut state =
            met.events.iter().map(|event| without(lacks, event)).fold(RunState::default(), |state, event| fold(state, &event));
        if matches!(lacks, Lacks::Residue) {
            (state.claims, state.cleanup_result) = (Default::default(), None);
        }
        let judged = judge(fault, &met, &state);
        assert!(judged.as_ref().is_err_and(|why| why.contains(noticed)), "{lacks:?}: {judged:?}");
    }
}
