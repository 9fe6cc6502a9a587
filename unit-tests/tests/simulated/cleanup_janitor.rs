//! The janitor: runs that it leaves alone, journals that it cannot read, and hosts that it cannot reach.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{
    adapters::clock::SystemClock,
    engine::steps::shared::cleanup::Pace,
    journal::{Journal, RunLock},
    model::{
        names::{Domain, StackName},
        object::ObjectKind,
        time::Wall,
    },
    ports::Clock,
    pure::{
        host::{claim::Claimed, inventory::Inventory},
        run::event::Kind,
    },
};
use runner::recovery::{
    crash_recovery::{HostAccess, HostConnector},
    janitor::{JanitorOptions, Report, RunOutcome, pass},
};
use unit_tests::{
    sim_data::{RestoreBehaviour, SimData},
    sim_inventory::{SimInventory, object},
};

const DEAD: &str = "20261121-101502-k3v7q2m7";

fn reports_on(runs: &Path) -> Vec<Report> {
    reports_on_one(runs, None)
}

fn reports_on_one(runs: &Path, only: Option<&str>) -> Vec<Report> {
    let (engine, only) = (Some("/nowhere.sock".into()), only.map(|run| run.parse().unwrap()));
    let (runs, pace, connector) = (runs.to_owned(), Pace::default(), HostConnector::real());
    let options = JanitorOptions { runs, engine, dry_run: false, only, pace, wait_for_engine: true, connector };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut reported = 0;
    let reports = runtime.block_on(pass(&options, |_| reported += 1)).unwrap();
    assert_eq!(reported, reports.len());
    reports
}

fn dead_run(runs: &Path, id: &str) -> PathBuf {
    let folder = runs.join(id);
    let journal = Journal::create(&folder, id.parse().unwrap(), Arc::new(SystemClock::start())).unwrap();
    journal.append(started(id)).unwrap();
    let name = format!("shop-{}_taster_test", &id[id.len() - 8..]).parse().unwrap();
    journal.claim(Claimed::Stack { name }, &"swarm1".parse().unwrap()).unwrap();
    folder
}

fn started(id: &str) -> harness::pure::run::event::Kind {
    unit_tests::stacks::started(&id.parse().unwrap(), Path::new("/nowhere.sock"))
}

fn lines(runs: &Path) -> Vec<String> {
    reports_on(runs).iter().flat_map(Report::lines).collect()
}

#[test]
fn machine_without_a_run_is_clean() {
    let state = tempfile::tempdir().unwrap();
    assert!(reports_on(&state.path().join("taster/runs")).is_empty());
    fs::create_dir(state.path().join("empty-folder-of-a-run-that-died-at-once")).unwrap();
    fs::write(state.path().join("no-folder"), "").unwrap();
    let reports = reports_on(state.path());
    assert!(matches!(reports[..], [Report { outcome: RunOutcome::Settled, .. }]));
}

#[test]
fn engine_that_does_not_answer_is_named_and_the_claims_stay() {
    let runs = tempfile::tempdir().unwrap();
    let folder = dead_run(runs.path(), DEAD);
    let before = fs::read(folder.join("events.jsonl")).unwrap();
    assert_eq!(lines(runs.path()), [format!("{DEAD}: not cleaned up: no engine answers at /nowhere.sock")]);
    assert!(reports_on(runs.path())[0].leaked());
    assert_eq!(fs::read(folder.join("events.jsonl")).unwrap(), before);
    assert!(RunLock::attempt(&folder).is_ok(), "the lock is given back");
}

#[test]
fn lock_that_is_no_file_is_named_and_does_not_stop_the_other_runs() {
    let runs = tempfile::tempdir().unwrap();
    let folder = dead_run(runs.path(), DEAD);
    fs::remove_file(folder.join("lock")).unwrap();
    fs::create_dir(folder.join("lock")).unwrap();
    let living = runs.path().join("20261121-101503-k3v7q2m7");
    let journal = dead_run(runs.path(), "20261121-101503-k3v7q2m7");
    let lock = RunLock::attempt(&journal).unwrap();
    let lines = lines(runs.path());
    assert_eq!(lines[0], format!("{DEAD}: not cleaned up: {} is not a file", folder.join("lock").display()));
    assert_eq!(lines[1], "20261121-101503-k3v7q2m7: left alone: it is alive, or another janitor cleans up after it");
    drop(lock);
    assert!(living.join("events.jsonl").exists());
}

#[test]
fn kept_app_is_left_alone_until_its_time_is_over_or_its_run_is_named() {
    let runs = tempfile::tempdir().unwrap();
    let other = "20261121-101503-k3v7q2mz";
    let now = SystemClock::start().wall().millis();
    for (id, until) in [(DEAD, now + 3_600_000), (other, now - 1)] {
        let journal = Journal::create(&runs.path().join(id), id.parse().unwrap(), Arc::new(SystemClock::start())).unwrap();
        journal.append(started(id)).unwrap();
        let domain: Domain = format!("shop-{}.taster.test", &id[id.len() - 8..]).parse().unwrap();
        journal.claim(Claimed::Stack { name: StackName::of(&domain) }, &"swarm1".parse().unwrap()).unwrap();
        journal.append(Kind::Kept { domain, until: Wall::from_millis(until) }).unwrap();
    }
    let reports = reports_on(runs.path());
    assert!(
        matches!(reports[..], [Report { outcome: RunOutcome::Kept(_), .. }, Report { outcome: RunOutcome::Failed(_), .. }]),
        "{reports:?}"
    );
    assert!(!reports[0].leaked(), "a kept app is not a leak");
    let lines = lines(runs.path());
    assert!(
        lines[0].contains("keeps shop-k3v7q2m7.taster.test until ") && lines[0].contains(&format!("`taster janitor {DEAD}`")),
        "{lines:?}"
    );
    let reports = reports_on_one(runs.path(), Some(DEAD));
    assert!(
        matches!(reports[..], [Report { outcome: RunOutcome::Failed(_), .. }]),
        "it is cleaned up at once, if an engine answers"
    );
}

/// The first line of a journal of that version, with a field that a newer version may have.
fn begun(version: u32) -> String {
    format!("{{\"seq\":1,\"event\":\"run-started\",\"version\":{version},\"run\":\"{DEAD}\",\"more\":[1]}}\n")
}

fn claimed(what: &str) -> String {
    format!("{{\"seq\":2,\"event\":\"claimed\",\"engine\":\"swarm1\",\"what\":{what}}}\n")
}

/// The lines of the janitor for a journal with this text, whether it reports something as left, and the names of the objects that
/// are there afterwards. The Swarm has a network of the run and objects of others.
fn after(journal: &str) -> (Vec<String>, bool, Vec<String>) {
    let runs = tempfile::tempdir().unwrap();
    fs::create_dir(runs.path().join(DEAD)).unwrap();
    fs::write(runs.path().join(DEAD).join(harness::journal::FILE), journal).unwrap();
    let things = [
        object(ObjectKind::Network, "hello-k3v7q2m7_taster_test_net", Some("hello-k3v7q2m7_taster_test")),
        object(ObjectKind::Network, "shop_net", Some("shop")),
        object(ObjectKind::Secret, "hello-k3v7q2m7_taster_testx_pw_v1", None),
    ];
    let inventory = Inventory {
        engine: "swarm1".parse().unwrap(),
        objects: things.into(),
        files: BTreeMap::new(),
        snapshots: BTreeMap::new(),
    };
    let sim = Arc::new(SimInventory::new(inventory));
    let access = HostAccess {
        swarm: sim.clone(),
        data: Arc::new(SimData::restoring(RestoreBehaviour::Works)),
        files: Arc::new(harness::adapters::files::Disk),
        children: sim.clone(),
        clock: Arc::new(SystemClock::start()),
    };
    let connector = HostConnector { children: sim.clone(), connect: Arc::new(move |_| Ok(access.clone())) };
    let (runs, pace) = (runs.path().to_owned(), Pace::default());
    let options = JanitorOptions { runs, engine: None, dry_run: false, only: None, pace, wait_for_engine: false, connector };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reports = runtime.block_on(pass(&options, |_| {})).unwrap();
    let left = sim.now().objects.into_values().map(|object| object.name).collect();
    (reports.iter().flat_map(Report::lines).collect(), reports.iter().any(Report::leaked), left)
}

#[test]
fn corrupt_journal_never_removes_foreign_objects() {
    let (first, newer) = (begun(1), begun(9));
    let own = claimed(r#"{"claimed":"stack","name":"hello-k3v7q2m7_taster_test"}"#);
    let gone = claimed(r#"{"claimed":"stack","name":"hallo-k3v7q2m7_taster_test"}"#);
    let other = claimed(r#"{"claimed":"stack","name":"shop"}"#);
    let other_marker = claimed(r#"{"claimed":"marker","name":"shop_net"}"#);
    let snapshots = claimed(r#"{"claimed":"snapshots","app":"shop.example.org","service":"bot"}"#);
    let marker = claimed(r#"{"claimed":"marker","name":"taster-20261121-101502-k3v7q2m7"}"#);
    let file = claimed(r#"{"claimed":"dir","path":"/nowhere/taster/abra"}"#);
    let moon = claimed(r#"{"claimed":"moon","name":"luna"}"#);
    let all = claimed(r#"{"claimed":"dir","path":"/"}"#);
    let up = claimed(r#"{"claimed":"dir","path":"/srv/taster/../../etc"}"#);
    let elsewhere = own.replace("swarm1", "swarm2");
    for (what, journal, cleaned, leaked, sentence) in [
        ("empty", String::new(), false, false, "nothing left"),
        ("only the beginning of its first line", first[..20].to_owned(), false, false, "nothing left"),
        ("cut in a claim", format!("{first}{}", &own[..40]), false, false, "nothing left"),
        ("cut after a claim", format!("{first}{own}{{\"seq\":3,\"ev"), true, false, "line 3: cut off, so no act followed it"),
        ("of a newer version", format!("{newer}{own}"), true, true, "the journal has version 9, newer than 2"),
        ("with an unknown claim", format!("{newer}{moon}{own}"), true, true, "line 2: claimed: `moon` is not known here"),
        ("without its first line", own.clone(), true, false, "1 removed in 0"),
        ("names things that are gone", format!("{first}{gone}{marker}"), false, false, "0 removed in 0"),
        (
            "claims a stack of others",
            format!("{first}{own}{other}"),
            true,
            true,
            "left alone: stack shop: it does not have the letters",
        ),
        (
            "claims nothing but a stack of others",
            format!("{first}{other}"),
            false,
            true,
            "left alone: stack shop: it does not have",
        ),
        (
            "claims a marker of others",
            format!("{first}{own}{other_marker}"),
            true,
            true,
            "left alone: marker shop_net: the marker of",
        ),
        (
            "claims snapshots of others",
            format!("{first}{own}{snapshots}"),
            true,
            true,
            "left alone: snapshots of shop.example.org",
        ),
        ("claims a folder of others", format!("{first}{own}{file}"), true, true, "it is not in the run's folder"),
        ("names another run", format!("{}{own}", first.replace("k3v7q2m7", "aebagbaf")), false, true, "whose folder this is not"),
        (
            "claims the whole disk",
            format!("{first}{own}{all}"),
            true,
            true,
            "left alone: folder /: the path is at the top of the file system",
        ),
        ("claims a way up", format!("{first}{own}{up}"), true, true, "the path contains `..`"),
        ("is of another Swarm", format!("{first}{elsewhere}"), false, true, "swarm2"),
        ("zeros, as a disk leaves them", format!("{first}{own}{}\n", "\0".repeat(64)), true, true, "line 3: "),
    ] {
        let (lines, left, names) = after(&journal);
        assert!(lines.iter().any(|line| line.contains(sentence)), "{what}: {lines:?}");
        assert_eq!(left, leaked, "{what}: {lines:?}");
        let own = names.iter().any(|name| name == "hello-k3v7q2m7_taster_test_net");
        assert_eq!((names.len(), own), if cleaned { (2, false) } else { (3, true) }, "{what}: {lines:?} {names:?}");
    }
}

#[test]
fn journal_that_is_a_folder_is_named() {
    let runs = tempfile::tempdir().unwrap();
    fs::create_dir_all(runs.path().join(DEAD).join(harness::journal::FILE)).unwrap();
    let lines = lines(runs.path());
    assert!(lines[0].starts_with(&format!("{DEAD}: not cleaned up: its journal cannot be read: ")), "{lines:?}");
    assert!(reports_on(runs.path())[0].leaked());
}

#[test]
fn thing_in_the_place_of_a_journal_is_named_and_nothing_waits_for_it() {
    let runs = tempfile::tempdir().unwrap();
    let journal = |id: &str| runs.path().join(format!("20261121-101502-{id}")).join(harness::journal::FILE);
    for id in ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"] {
        fs::create_dir_all(journal(id).parent().unwrap()).unwrap();
    }
    let fifo = std::process::Command::new("mkfifo").arg(journal("aaaaaaaa")).status().unwrap();
    assert!(fifo.success());
    std::os::unix::fs::symlink("/dev/zero", journal("bbbbbbbb")).unwrap();
    fs::File::create(journal("cccccccc")).unwrap().set_len(200 << 20).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(journal("dddddddd")).unwrap();
    let began = std::time::Instant::now();
    let lines = lines(runs.path());
    for (line, what) in lines.iter().zip(["a pipe", "a symbolic link", "more than 32 MiB", "a socket"]) {
        assert!(line.contains("not cleaned up: its journal cannot be read: ") && line.contains(what), "{lines:?}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(reports_on(runs.path()).iter().all(Report::leaked));
}

#[test]
fn dry_run_that_cannot_read_all_claims_may_have_left_something() {
    let report = |lost_claims: bool, disbelieved: &[&str]| Report {
        run: DEAD.into(),
        outcome: RunOutcome::WouldRemove(Vec::new()),
        unread: Vec::new(),
        disbelieved: disbelieved.iter().map(|text| (*text).to_owned()).collect(),
        lost_claims,
    };
    assert!(!report(false, &[]).leaked());
    assert!(report(true, &[]).leaked() && report(false, &["stack shop: it is not the run's"]).leaked());
}
