//! The janitor where there is nothing to sweep with, or nothing to sweep.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{
    adapters::clock::SystemClock,
    claim::Claimed,
    event::Kind,
    journal::{Journal, RunLock},
    model::{
        names::{Domain, StackName},
        time::Wall,
    },
    ports::Clock,
    steps::sweep::Pace,
};
use runner::{
    aftermath::Reaching,
    janitor::{Fate, Orders, Report, pass},
};

const DEAD: &str = "20261121-101502-k3v7q2m7";

fn looked_at(runs: &Path) -> Vec<Report> {
    looked_at_one(runs, None)
}

fn looked_at_one(runs: &Path, only: Option<&str>) -> Vec<Report> {
    let (engine, only) = (Some("/nowhere.sock".into()), only.map(|run| run.parse().unwrap()));
    let (runs, pace, reach) = (runs.to_owned(), Pace::default(), Reaching::real());
    let orders = Orders { runs, engine, dry_run: false, only, pace, stays: true, reach };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut told = 0;
    let reports = runtime.block_on(pass(&orders, |_| told += 1)).unwrap();
    assert_eq!(told, reports.len());
    reports
}

fn dead_run(runs: &Path, id: &str) -> PathBuf {
    let folder = runs.join(id);
    let journal = Journal::create(&folder, id.parse().unwrap(), Arc::new(SystemClock::start())).unwrap();
    journal.append(started(id)).unwrap();
    journal.claim(Claimed::Stack { name: "shop".parse().unwrap() }, &"swarm1".parse().unwrap()).unwrap();
    folder
}

fn started(id: &str) -> harness::event::Kind {
    unit_tests::stacks::started(&id.parse().unwrap(), Path::new("/nowhere.sock"))
}

fn lines(runs: &Path) -> Vec<String> {
    looked_at(runs).iter().flat_map(Report::lines).collect()
}

#[test]
fn a_machine_on_which_nothing_ran_is_clean() {
    let state = tempfile::tempdir().unwrap();
    assert!(looked_at(&state.path().join("taster/runs")).is_empty());
    fs::create_dir(state.path().join("empty-folder-of-a-run-that-died-at-once")).unwrap();
    fs::write(state.path().join("no-folder"), "").unwrap();
    let reports = looked_at(state.path());
    assert!(matches!(reports[..], [Report { fate: Fate::Settled, .. }]));
}

#[test]
fn an_engine_that_does_not_answer_is_said_and_the_claims_stay() {
    let runs = tempfile::tempdir().unwrap();
    let folder = dead_run(runs.path(), DEAD);
    let before = fs::read(folder.join("events.jsonl")).unwrap();
    assert_eq!(lines(runs.path()), [format!("{DEAD}: not swept: no engine answers at /nowhere.sock")]);
    assert!(looked_at(runs.path())[0].residue());
    assert_eq!(fs::read(folder.join("events.jsonl")).unwrap(), before);
    assert!(RunLock::attempt(&folder).is_ok(), "the lock is given back");
}

#[test]
fn a_lock_that_is_no_file_is_a_sentence_and_the_other_runs_are_looked_at() {
    let runs = tempfile::tempdir().unwrap();
    let folder = dead_run(runs.path(), DEAD);
    fs::remove_file(folder.join("lock")).unwrap();
    fs::create_dir(folder.join("lock")).unwrap();
    let living = runs.path().join("20261121-101503-k3v7q2m7");
    let journal = dead_run(runs.path(), "20261121-101503-k3v7q2m7");
    let lock = RunLock::attempt(&journal).unwrap();
    let said = lines(runs.path());
    assert_eq!(said[0], format!("{DEAD}: not swept: {} is no file", folder.join("lock").display()));
    assert_eq!(said[1], "20261121-101503-k3v7q2m7: alive, or being swept by another janitor; left alone");
    drop(lock);
    assert!(living.join("events.jsonl").exists());
}

#[test]
fn an_app_that_is_kept_is_left_alone_until_its_time_is_over_or_its_run_is_named() {
    let runs = tempfile::tempdir().unwrap();
    let other = "20261121-101503-k3v7q2mz";
    let now = SystemClock::start().wall().millis();
    for (id, until) in [(DEAD, now + 3_600_000), (other, now - 1)] {
        let journal = Journal::create(&runs.path().join(id), id.parse().unwrap(), Arc::new(SystemClock::start())).unwrap();
        journal.append(started(id)).unwrap();
        let domain: Domain = "shop.taster.test".parse().unwrap();
        journal.claim(Claimed::Stack { name: StackName::of(&domain) }, &"swarm1".parse().unwrap()).unwrap();
        journal.append(Kind::Kept { domain, until: Wall::from_millis(until) }).unwrap();
    }
    let reports = looked_at(runs.path());
    assert!(matches!(reports[..], [Report { fate: Fate::Kept(_), .. }, Report { fate: Fate::Failed(_), .. }]), "{reports:?}");
    assert!(!reports[0].residue(), "what is kept is no residue");
    let said = lines(runs.path());
    assert!(
        said[0].contains("keeps shop.taster.test until ") && said[0].contains(&format!("`taster janitor {DEAD}`")),
        "{said:?}"
    );
    let reports = looked_at_one(runs.path(), Some(DEAD));
    assert!(matches!(reports[..], [Report { fate: Fate::Failed(_), .. }]), "it is swept at once, as far as an engine answers");
}
