use std::fs;

use super::*;
use crate::{
    adapters::clock::SystemClock,
    model::{
        host::Host,
        names::StackName,
        outcome::Tier,
        request::{Authoring, Extent, Request, Source, Tests},
    },
    pure::run::event::JOURNAL_VERSION,
};

const RUN: &str = "20261121-101502-k3v7q2m7";

/// The folder of the run in a temporary folder.
fn run_dir(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join(RUN)
}

fn parse(bytes: &[u8]) -> JournalReading {
    read::parse(bytes, &Path::new("/state/runs").join(RUN))
}

fn journal(dir: &Path) -> Journal {
    let run: RunId = RUN.parse().unwrap();
    let journal = Journal::create(dir, run.clone(), Arc::new(SystemClock::start())).unwrap();
    let request = Request {
        recipe: "hello".parse().unwrap(),
        source: Source::Catalogue { at: None },
        tiers: [Tier::Install].into(),
        base: None,
        extent: Extent::default(),
        tests: Tests::default(),
        deadline: std::time::Duration::from_secs(600),
        host_file: None,
        offline: None,
        pr: None,
        trigger: None,
        authoring: Authoring::default(),
    };
    let host = Host {
        zone: "taster.test".parse().unwrap(),
        abra: "abra".into(),
        server: "default".into(),
        engine: "/run/docker.sock".into(),
        ingress: None,
        ca: None,
        backup: None,
        allow: std::collections::BTreeMap::new(),
        limits: crate::model::host::Limits::default(),
        ignore: Vec::new(),
    };
    journal.append(Kind::RunStarted { version: 1, run, taster: "0.1.0".into(), commit: None, request, host }).unwrap();
    journal
}

fn engine() -> SwarmId {
    "swarm1".parse().unwrap()
}

/// The stack of the run whose app has these letters.
fn stack(letters: &str) -> Claimed {
    Claimed::Stack { name: format!("{letters}-k3v7q2m7_taster_test").parse::<StackName>().unwrap() }
}

fn claimed(reading: &JournalReading) -> Vec<String> {
    reading.claims.iter().map(|claim| claim.what().to_string()).collect()
}

#[test]
fn journal_reads_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&run_dir(&dir));
    let (claim, event) = journal.claim(stack("shop"), &engine()).unwrap();
    assert_eq!((event.seq, claim.run().as_str()), (2, RUN));
    for what in [stack("shop"), stack("inn"), Claimed::Dir { path: run_dir(&dir).join("abra") }] {
        journal.claim(what, &engine()).unwrap();
    }
    journal.append(Kind::Released { what: stack("inn") }).unwrap();
    for (pid, start_ticks) in [(7, 70), (8, 80)] {
        journal.append(Kind::ChildStarted { pid, start_ticks, doing: "abra app deploy".into() }).unwrap();
    }
    let last = journal.append(Kind::ChildEnded { pid: 7 }).unwrap();
    let reading = read(&run_dir(&dir)).unwrap();
    assert_eq!(reading.run.as_ref().map(RunId::as_str), Some(RUN));
    assert_eq!(
        claimed(&reading),
        ["stack shop-k3v7q2m7_taster_test".to_owned(), format!("folder {}/abra", run_dir(&dir).display())],
        "each once, and none that is released"
    );
    assert_eq!(reading.claims[0], claim);
    assert_eq!(reading.children.iter().map(|child| (child.pid, child.start_ticks)).collect::<Vec<_>>(), [(8, 80)]);
    assert_eq!(reading.socket.as_deref(), Some(Path::new("/run/docker.sock")));
    assert_eq!(reading.events.last(), Some(&last));
    assert_eq!((reading.unread.len(), reading.cut_off, reading.finished, reading.settled()), (0, false, false, false));
}

#[test]
fn journal_that_is_cut_anywhere_keeps_every_whole_claim() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&run_dir(&dir));
    for name in ["a", "b", "c"] {
        journal.claim(stack(name), &engine()).unwrap();
    }
    let whole = fs::read(run_dir(&dir).join(FILE)).unwrap();
    for cut in 0..=whole.len() {
        let reading = parse(&whole[..cut]);
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        // A line that lacks nothing but its end is whole as well.
        let complete = lines + usize::from(cut < whole.len() && whole[cut] == b'\n');
        assert_eq!(reading.claims.len(), complete.saturating_sub(1), "cut at {cut}");
        assert_eq!(reading.lost_claims, 0, "cut at {cut}");
        assert_eq!(reading.cut_off, !reading.unread.is_empty(), "cut at {cut}");
    }
}

#[test]
fn cut_journal_is_continued_in_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    journal(&run_dir(&dir)).claim(stack("shop"), &engine()).unwrap();
    let path = run_dir(&dir).join(FILE);
    let whole = fs::read(&path).unwrap();
    for (what, bytes) in [
        ("whole", whole.clone()),
        ("cut off", [whole.as_slice(), b"{\"seq\":3,\"at"].concat()),
        ("without its last line end", whole[..whole.len() - 1].to_vec()),
    ] {
        fs::write(&path, bytes).unwrap();
        let before = read(&run_dir(&dir)).unwrap();
        let resumed =
            Journal::resume(RunLock::attempt(&run_dir(&dir)).unwrap(), &before, Arc::new(SystemClock::start())).unwrap();
        let event = resumed.append(Kind::Released { what: stack("shop") }).unwrap();
        let after = read(&run_dir(&dir)).unwrap();
        assert_eq!(event.seq, 3, "{what}");
        assert!(event.mono >= before.last_mono, "{what}");
        assert_eq!((after.settled(), after.unread.len(), after.events.len()), (true, 0, 3), "{what}: {:?}", after.unread);
    }
}

#[test]
fn unreadable_lines_are_reported_and_the_others_are_used() {
    let first = format!("{{\"seq\":1,\"event\":\"run-started\",\"version\":9,\"run\":\"{RUN}\",\"new\":true}}");
    let claim = "{\"seq\":2,\"event\":\"claimed\",\"engine\":\"s\",\"what\":{\"claimed\":\"stack\",\"name\":\"shop-k3v7q2m7_taster_test\"},\"more\":1}";
    for (what, line, lost, sentence) in [
        (
            "an unknown event",
            "{\"seq\":3,\"event\":\"sung\"}",
            1,
            "line 3: sung: a kind of event that this version does not know",
        ),
        ("no JSON", "\u{0}\u{0}", 1, "line 3: "),
        (
            "an unknown claim",
            "{\"event\":\"claimed\",\"engine\":\"s\",\"what\":{\"claimed\":\"moon\"}}",
            1,
            "line 3: claimed: `moon` is not known here",
        ),
        (
            "an unknown release",
            "{\"event\":\"released\",\"what\":{\"claimed\":\"moon\"}}",
            0,
            "line 3: released: `moon` is not known here",
        ),
        ("a child without its start", "{\"event\":\"child-started\",\"pid\":1}", 1, "line 3: child-started: "),
        ("a list", "[1]", 0, "line 3: ?: "),
    ] {
        let reading = parse(format!("{first}\n{claim}\n{line}\n").as_bytes());
        assert_eq!(claimed(&reading), ["stack shop-k3v7q2m7_taster_test"], "{what}");
        // The first line counts as well: a newer version may claim in ways that this one does not know.
        assert_eq!(reading.lost_claims, lost + 1, "{what}: {:?}", reading.unread);
        assert!(reading.unread.iter().any(|unread| unread.starts_with(sentence)), "{what}: {:?}", reading.unread);
        let of_line = reading.unread.iter().filter(|unread| unread.starts_with("line 3: ")).count();
        assert_eq!(of_line, 1, "each line is reported once, {what}: {:?}", reading.unread);
        assert!(reading.unread[0].contains(&format!("version 9, newer than {JOURNAL_VERSION}")), "{what}");
    }
    let headless = parse(format!("{claim}\n").as_bytes());
    assert_eq!((headless.claims.len(), headless.lost_claims, headless.settled()), (1, 0, false), "the folder names the run");
    let unnamed = read::parse(format!("{claim}\n").as_bytes(), Path::new("/state/runs/copy"));
    assert_eq!(
        (unnamed.claims.len(), unnamed.lost_claims, unnamed.settled()),
        (0, 1, false),
        "a claim of no run is not forgotten"
    );
    assert!(parse(b"").settled());
}

#[test]
fn paths_that_cleanup_could_not_remove_safely_are_not_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&run_dir(&dir));
    for path in ["abra", "/", "/root", "/tmp/run/../../root"] {
        let refused = journal.claim(Claimed::Dir { path: path.into() }, &engine());
        assert!(matches!(refused, Err(JournalError::Disbelieved { .. })), "{path}");
    }
    assert!(read(&run_dir(&dir)).unwrap().claims.is_empty());
}

#[test]
fn lock_is_held_by_the_living_run_alone() {
    let dir = tempfile::tempdir().unwrap();
    let living = journal(&run_dir(&dir));
    assert!(matches!(RunLock::attempt(&run_dir(&dir)), Err(LockError::Held { .. })));
    let other = Journal::create(&dir.path().join("other"), RUN.parse().unwrap(), Arc::new(SystemClock::start()));
    assert!(other.is_ok(), "another folder has another lock");
    drop(living);
    let lock = RunLock::attempt(&run_dir(&dir)).unwrap();
    // The file is removed: the next process locks another one, and the holder of this lock notices nothing.
    fs::remove_file(run_dir(&dir).join("lock")).unwrap();
    assert!(RunLock::attempt(&run_dir(&dir)).is_ok());
    drop(lock);
    assert!(matches!(
        Journal::create(&run_dir(&dir), RUN.parse().unwrap(), Arc::new(SystemClock::start())),
        Err(JournalError::Exists { .. })
    ));
    fs::remove_file(run_dir(&dir).join("lock")).unwrap();
    fs::create_dir(run_dir(&dir).join("lock")).unwrap();
    assert!(matches!(RunLock::attempt(&run_dir(&dir)), Err(LockError::NoFile { .. })));
}

#[test]
fn settled_agrees_with_the_whole_reading() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&run_dir(&dir));
    let agree = |expected: bool| {
        assert_eq!((settled(&run_dir(&dir)).unwrap(), read(&run_dir(&dir)).unwrap().settled()), (expected, expected));
    };
    agree(true);
    let tricky = "its line says \"event\":\"claimed\" and \"event\":\"step-started\"".to_owned();
    journal
        .append(Kind::Observed { step: crate::pure::run::plan::StepId("deploy".into()), waiting_for: vec![tricky.clone()] })
        .unwrap();
    agree(true);
    journal.append(Kind::ChildStarted { pid: 7, start_ticks: 70, doing: tricky }).unwrap();
    agree(false);
    journal.append(Kind::ChildEnded { pid: 7 }).unwrap();
    agree(true);
    journal.claim(stack("shop"), &engine()).unwrap();
    agree(false);
    journal.append(Kind::Released { what: stack("shop") }).unwrap();
    agree(true);
    let first = fs::read_to_string(run_dir(&dir).join(FILE)).unwrap().lines().next().unwrap().to_owned();
    let half = "{\"seq\":2,\"event\":\"step-started\",\"st";
    let claim = "{\"seq\":3,\"event\":\"claimed\",\"engine\":\"s\",\"what\":{\"claimed\":\"stack\",\"name\":\"shop-k3v7q2m7_taster_test\"}}";
    for corrupt in ["{\"event\":\"claimed\"}\n".to_owned(), format!("{first}\n{half}{claim}\n")] {
        fs::write(run_dir(&dir).join(FILE), corrupt).unwrap();
        agree(false);
    }
}

#[test]
fn claims_that_the_run_cannot_have_made_are_reported_and_not_believed() {
    let first = |run: &str| format!("{{\"seq\":1,\"event\":\"run-started\",\"version\":1,\"run\":\"{run}\"}}\n");
    let claim = |what: &str| format!("{{\"event\":\"claimed\",\"engine\":\"s\",\"what\":{what}}}\n");
    let child = "{\"event\":\"child-started\",\"pid\":1,\"start_ticks\":1,\"doing\":\"x\"}\n";
    let own = claim("{\"claimed\":\"stack\",\"name\":\"shop-k3v7q2m7_taster_test\"}");
    let folder = claim("{\"claimed\":\"dir\",\"path\":\"/srv/shop\"}");
    let reading = parse(format!("{}{own}{folder}{child}", first(RUN)).as_bytes());
    assert_eq!(claimed(&reading), ["stack shop-k3v7q2m7_taster_test"]);
    assert_eq!(
        reading.disbelieved,
        ["folder /srv/shop: it is not in the run's folder", "process 1: no child of a run has this process id"]
    );
    assert!(reading.children.is_empty() && reading.may_claim_more() && !reading.settled());
    let copied = read::parse(format!("{}{own}", first(RUN)).as_bytes(), Path::new("/state/runs/20261121-101502-aebagbaf"));
    assert!(copied.claims.is_empty() && copied.disbelieved[0].contains("whose folder this is not"), "{:?}", copied.disbelieved);
}

#[test]
fn run_that_writes_too_much_is_refused_and_its_cleanup_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&run_dir(&dir));
    let warn = |journal: &Journal| journal.append(Kind::Warned { text: "x".repeat(8 << 20) });
    let full = (0..4).map(|_| warn(&journal)).find_map(Result::err).unwrap();
    assert!(matches!(full, JournalError::Full { .. }), "{full}");
    drop(journal);
    let reading = read(&run_dir(&dir)).unwrap();
    assert!(reading.unread.is_empty(), "{:?}", reading.unread);
    let resumed = Journal::resume(RunLock::attempt(&run_dir(&dir)).unwrap(), &reading, Arc::new(SystemClock::start())).unwrap();
    warn(&resumed).unwrap();
    assert!(read(&run_dir(&dir)).is_ok());
    File::create(run_dir(&dir).join(FILE)).unwrap().set_len(200 << 20).unwrap();
    assert_eq!(read(&run_dir(&dir)).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn journal_that_was_removed_takes_no_more_events() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&run_dir(&dir));
    fs::remove_dir_all(run_dir(&dir)).unwrap();
    let claim = journal.claim(stack("shop"), &engine());
    assert!(matches!(claim, Err(JournalError::Removed { .. })), "{claim:?}");
}
