//! Journals and results of version 1, which an earlier taster wrote: they are read in full, claims above all.
//!
//! The fixture is the run of `hello-store` through all tiers but custom, with paths of a home folder replaced.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, sync::Arc};

use harness::{
    adapters::{clock::SystemClock, files::Disk},
    engine::steps::shared::cleanup::Pace,
    journal::{self, JournalReading},
    model::{
        object::{ObjectId, ObjectKind},
        outcome::{Status, Subject},
    },
    pure::{
        host::inventory::{CleanupResult, Inventory, Object},
        recipe::canary::Moment,
        run::{
            plan::step_ids,
            state::{RunState, fold},
            verdict::{Verdict, VerdictOutcome, verdict},
        },
    },
    report::results::{Results, differences, digest_of, parse, results_schema},
};
use runner::recovery::{
    crash_recovery::{HostAccess, HostConnector},
    janitor::{JanitorOptions, Report, pass},
};
use unit_tests::{
    sim_data::{RestoreBehaviour, SimData},
    sim_inventory::{SimInventory, object},
};

use crate::book::root;

const RUN: &str = "20261201-130343-q3vlikx5";
const STACK: &str = "hellostore-q3vlikx5_taster_test";

fn fixture(file: &str) -> String {
    fs::read_to_string(root().join("unit-tests/fixtures/v1").join(file)).unwrap()
}

/// A folder of runs with the journal, or with the first lines of it.
fn runs_with(journal: &str) -> tempfile::TempDir {
    let runs = tempfile::tempdir().unwrap();
    fs::create_dir(runs.path().join(RUN)).unwrap();
    // The run claimed paths in its own folder, and this is its folder now.
    let journal = journal.replace("/home/user/.local/state/taster/runs", runs.path().to_str().unwrap());
    fs::write(runs.path().join(RUN).join(journal::FILE), journal).unwrap();
    runs
}

fn read(journal: &str) -> JournalReading {
    journal::read(&runs_with(journal).path().join(RUN)).unwrap()
}

fn state() -> RunState {
    read(&fixture("events.jsonl")).events.iter().fold(RunState::default(), fold)
}

#[test]
fn journal_is_read_in_full() {
    let text = fixture("events.jsonl");
    let reading = read(&text);
    assert_eq!((reading.unread.as_slice(), reading.events.len()), (&[][..], text.lines().count()));
    assert_eq!((reading.claims.len(), reading.released.len(), reading.lost_claims), (0, 7, 0));
    assert!(reading.finished && reading.settled());
    let state = state();
    assert_eq!(verdict(&state).outcome, VerdictOutcome::Green, "{:?}", verdict(&state).reasons);
    assert_eq!((state.cleanup_result, state.runs), (Some(CleanupResult::default()), Some(Subject::Head)));
    assert!(state.compose_verification.is_some() && !state.preflight.is_empty());
    let moments: Vec<Moment> = state.canaries[0].seen.keys().copied().collect();
    assert_eq!(moments, [Moment::Seeded, Moment::AfterUpgrade, Moment::Corrupted, Moment::AfterRestore]);
    let unknown = state.steps.keys().find(|id| !step_ids::ALL.contains(&id.0.as_str()));
    assert_eq!(unknown, None, "each step has its present name");
}

#[test]
fn journal_that_is_cut_holds_each_claim_until_its_release() {
    let text = fixture("events.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    let count = |kind: &str, lines: &[&str]| lines.iter().filter(|line| line.contains(&format!("\"event\":\"{kind}\""))).count();
    for len in 1..=lines.len() {
        let cut = lines[..len].join("\n") + "\n";
        let reading = read(&cut);
        let held = count("claimed", &lines[..len]) - count("released", &lines[..len]);
        assert_eq!((reading.claims.len(), reading.lost_claims), (held, 0), "{len} lines");
        let acting = count("child-started", &lines[..len]) > count("child-ended", &lines[..len]);
        assert_eq!(reading.settled(), held == 0 && !acting, "{len} lines");
    }
}

#[test]
fn unknown_kind_of_event_leaves_no_run_settled() {
    let text = fixture("events.jsonl");
    for kind in ["reserved", "step-reserved", "claimed-again"] {
        let unknown = format!(r#"{{"seq":900,"at":"2026-12-01T13:03:43.737Z","mono":4,"event":"{kind}","what":{{}}}}"#);
        let runs = runs_with(&format!("{text}{unknown}\n"));
        let folder = runs.path().join(RUN);
        let reading = journal::read(&folder).unwrap();
        assert_eq!((reading.settled(), journal::settled(&folder).unwrap()), (false, false), "{kind}");
        assert!(reading.unread.iter().any(|line| line.contains(kind)), "{:?}", reading.unread);
    }
}

/// The lines of the janitor for a run with this journal on a Swarm with these objects, the names of the objects that are left,
/// and the state of the run afterwards.
fn clean_up(journal: &str, objects: Vec<(ObjectId, Object)>) -> (Vec<String>, Vec<String>, RunState) {
    let runs = runs_with(journal);
    let engine = "k6bbm7jz208ytwdepk7plr0qg".parse().unwrap();
    let objects = objects.into_iter().collect();
    let sim = Arc::new(SimInventory::new(Inventory { engine, objects, files: BTreeMap::new(), snapshots: BTreeMap::new() }));
    let access = HostAccess {
        swarm: sim.clone(),
        data: Arc::new(SimData::restoring(RestoreBehaviour::Works)),
        files: Arc::new(Disk),
        children: sim.clone(),
        clock: Arc::new(SystemClock::start()),
    };
    let connector = HostConnector { children: sim.clone(), connect: Arc::new(move |_: &Path| Ok(access.clone())) };
    let folder = runs.path().join(RUN);
    let (runs, pace) = (PathBuf::from(runs.path()), Pace::default());
    let options = JanitorOptions { runs, engine: None, dry_run: false, only: None, pace, wait_for_engine: false, connector };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reports = runtime.block_on(pass(&options, |_| {})).unwrap();
    let left = sim.now().objects.into_values().map(|object| object.name).collect();
    let state = journal::read(&folder).unwrap().events.iter().fold(RunState::default(), fold);
    (reports.iter().flat_map(Report::lines).collect(), left, state)
}

#[test]
fn killed_run_is_cleaned_up_by_its_claims() {
    let text = fixture("events.jsonl");
    let killed: Vec<&str> = text.lines().take_while(|line| !line.contains("\"event\":\"released\"")).collect();
    let objects = || {
        vec![
            object(ObjectKind::Network, &format!("{STACK}_default"), Some(STACK)),
            object(ObjectKind::Volume, &format!("{STACK}_posts"), Some(STACK)),
            object(ObjectKind::Volume, "shop_posts", Some("shop")),
        ]
    };
    let (lines, left, _) = clean_up(&(killed.join("\n") + "\n"), objects());
    assert_eq!(left, ["shop_posts"], "{lines:?}");
    let (lines, left, _) = clean_up(&text, objects());
    assert_eq!(left.len(), 3, "a run that released its claims is left alone: {lines:?}");
}

#[test]
fn cleanup_that_cannot_read_a_claim_leaves_its_run_with_leftovers() {
    let text = fixture("events.jsonl");
    let killed = text.lines().take_while(|line| !line.contains("\"event\":\"released\""));
    let garbled: Vec<String> = killed.map(|line| line.replace("\"claimed\":\"stack\"", "\"claimed\":\"moon\"")).collect();

    let (lines, left, state) =
        clean_up(&(garbled.join("\n") + "\n"), vec![object(ObjectKind::Network, &format!("{STACK}_default"), Some(STACK))]);

    assert_eq!(left.len(), 1, "{lines:?}");
    let cleaned = state.cleaned_after.expect("the cleanup is recorded");
    assert!(cleaned.left[0].starts_with("what unreadable lines of the journal may have claimed"), "{:?}", cleaned.left);
}

#[test]
fn results_are_read_in_the_form_of_this_version() {
    let text = fixture("results.json");
    let results = parse(&text).unwrap();
    assert_eq!(digest_of(&text).unwrap(), results.digest, "the digest is that of the file");
    let stages: Vec<(&str, Status, usize)> =
        results.stages.iter().map(|stage| (stage.name.as_str(), stage.status, stage.steps.len())).collect();
    let (pass, skip) = (Status::Pass, Status::Skip);
    assert_eq!(
        stages,
        [
            ("install", pass, 4),
            ("upgrade", pass, 6),
            ("backup", pass, 1),
            ("restore", pass, 5),
            ("custom", skip, 0),
            ("lint", pass, 2),
        ]
    );
    assert_eq!(results.stages[4].summary, "was not asked for");
    assert_eq!((results.rungs.functional, results.rungs.custom), (Status::Unver, Status::Unver));
    assert_eq!(results.cleanup, Some(CleanupResult::default()));
    let document = serde_json::to_value(&results).unwrap();
    let validator = jsonschema::validator_for(results_schema().as_value()).unwrap();
    let faults: Vec<String> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn results_are_those_of_the_journal() {
    let (written, folded) = (parse(&fixture("results.json")).unwrap(), Results::from(&state()));
    assert_eq!(differences(&written, &folded), Vec::<String>::new());
    assert_eq!((&written.stages, &written.steps), (&folded.stages, &folded.steps));
    assert_eq!((&written.tasks, &written.evidence, &written.canaries), (&folded.tasks, &folded.evidence, &folded.canaries));
    assert_eq!((&written.preflight, &written.resolver), (&folded.preflight, &folded.resolver));
    // Version 1 did not say how each tier ended.
    let folded_verdict = Verdict { ended: Vec::new(), ..folded.verdict };
    assert_eq!((written.verdict, written.level), (folded_verdict, folded.level));
}
