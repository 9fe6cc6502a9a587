//! Custom tests that are executables: each way in which one can end, and whole runs with them.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use harness::{
    adapters::{
        executables::{ExecutableFolders, TestExecutables},
        folder::Folder,
        no_child_register::NoChildRegister,
        pack_program::ProgramSetup,
    },
    engine::steps::shared::test_outcome::of_executable,
    model::{
        host::Host,
        outcome::{Outcome, Owner},
        pack::{CustomTest, Origin},
        tested_app::{Images, TestedApp},
    },
    ports::{Executables, Ran},
    pure::recipe::executables::discover,
    redact::Redact,
};
use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    event_log,
    sandbox_fixture::{self, SandboxFixture},
    stacks::fresh_run,
    test_env::TestEnv,
    test_run::{
        Outcome::{Inconclusive, Red},
        Status::Fail,
    },
};

use crate::{
    custom::lives,
    trials::{self, e2e_tests, in_env},
};

/// The tests that need no engine.
pub(crate) fn local() -> Vec<Trial> {
    trials::local(&e2e_tests![executable_ends_with_its_outcome_and_leaves_no_process])
}

/// The tests of whole runs.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(fixture, &e2e_tests![executables_of_a_repository_run_only_when_it_is_trusted])
}

/// Writes a script, with the run bit or without.
pub(crate) fn script(file: &Path, text: &str, executable: bool) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // The file is renamed into place, so a reader finds it complete and with its run bit.
    let draft = file.with_file_name(".draft");
    fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 })).unwrap();
    fs::rename(draft, file).unwrap();
}

fn executable_ends_with_its_outcome_and_leaves_no_process() {
    let env = sandbox_fixture::env();
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("pack");
    let asks = "printf '%s\\n' \"$HOME\"; ulimit -d; cat \"$TASTER_CONTEXT\"; echo; cat; exit 1";
    for (name, text) in [
        ("passes", "exit 0"),
        ("asks", asks),
        ("no-mail", "echo looking; echo there is no mail; exit 77"),
        ("gone", "no-such-program"),
        ("dies", "kill -9 $$"),
        ("hangs", "sleep 61804 & setsid sleep 61804 & wait"),
        ("litters", "sleep 61804 & setsid sleep 61804 & exit 0"),
    ] {
        script(&folder.join(name), text, true);
    }
    let run = fresh_run();
    let setup = ProgramSetup {
        program: Vec::new(),
        shim: vec![env.exe.into(), "__child".into()],
        folder: Folder::of(state.path(), &run),
        host: Host::parse("zone = \"taster.test\"").unwrap(),
        home: state.path().into(),
        path: env.path,
        work_dir: "pack",
        memory: None,
    };
    let places = ExecutableFolders { repository: None, folder: Some(folder) };
    let started = TestExecutables::new(setup, places, Arc::new(NoChildRegister), Arc::new(Redact::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let head = event_log::head();
    let files = runtime.block_on(started.find(&head.recipe, Origin::Folder)).unwrap();
    let found = discover(&files, Origin::Folder, None, &std::collections::BTreeSet::new());
    let tests: BTreeMap<&str, &CustomTest> = found.tests.iter().map(|test| (test.file.as_str(), test)).collect();
    assert_eq!(tests.len(), 7, "{found:?}");
    let images = Images::default();
    let perform = |name: &str, budget: Duration| -> Ran {
        let app = TestedApp { head: &head, images: &images };
        runtime.block_on(started.execute(tests[name], app, budget)).unwrap()
    };
    let long = Duration::from_secs(60);
    for (name, budget, owner, words) in [
        ("passes", long, None, ""),
        ("no-mail", long, None, "there is no mail"),
        ("litters", long, None, ""),
        ("asks", long, Some(Owner::Recipe), "asks: it ended with exit code 1"),
        ("gone", long, Some(Owner::Test), "gone: it ended with exit code 127"),
        ("dies", long, Some(Owner::Test), "dies: it was ended by signal 9"),
        ("hangs", Duration::from_secs(2), Some(Owner::Test), "hangs: it did not end within 2.0 s"),
    ] {
        let ran = perform(name, budget);
        match (of_executable(&tests[name].name, &ran), owner) {
            (Outcome::Failed(failure), Some(owner)) => {
                assert_eq!(failure.owner, owner, "{}", failure.with_excerpt());
                assert!(failure.message.starts_with(words), "{}", failure.with_excerpt());
            }
            (Outcome::Passed | Outcome::Skipped(_), None) => assert!(ran.output.contains(words), "{}", ran.output),
            (outcome, _) => panic!("{name}: {outcome:?}\n{}", ran.output),
        }
    }

    let output = perform("asks", long).output;

    let domain = format!("\"domain\":\"{}\"", head.domain);
    assert_eq!(output.matches(&domain).count(), 2, "the file and standard input tell of the app: {output}");
    let mut lines = output.lines();
    assert_ne!(lines.next(), Some(state.path().to_str().unwrap()), "its home is its own");
    assert_eq!(lines.next(), Some("2097152"), "its memory has a limit");
    let run = run.to_string();
    until("no process of the run lives", || !lives(&run));
}

/// A folder with uncommitted tests.
fn executables_of_a_repository_run_only_when_it_is_trusted(env: &TestEnv<'_>) {
    let mine = env.copy_of("hello");
    let witness = env.path().join("witness");
    script(&mine.join("tests/posts.sh"), &format!("# taster: kind = roundtrip\ntouch '{}'", witness.display()), true);
    script(&mine.join("tests/deep/mail.sh"), "echo there is no mail; exit 77", true);
    script(&mine.join("tests/_lib.sh"), "exit 1", false);
    let untrusted = env.run("hello").path(&mine).tiers("install,custom");
    let trusted = untrusted.clone().host_lines("[allow]\nhello = [\"tests\"]");

    let run = untrusted.expect(Inconclusive);
    run.exit(3)
        .says("inconclusive (custom not verified: ")
        .says("tests/posts.sh: not verified")
        .says("tests/deep/mail.sh: an executable of the recipe's repository is not run");
    assert!(!witness.exists(), "a refused test does not run");

    script(&mine.join("tests/plain.sh"), "exit 0", false);
    let run = trusted.clone().expect(Inconclusive);
    run.exit(3).says("tests/posts.sh: passed").says("does not apply: there is no mail").says("tests/plain.sh is not executable");
    assert!(witness.exists(), "a trusted test runs");

    fs::remove_file(mine.join("tests/plain.sh")).unwrap();
    script(&mine.join("tests/posts.sh"), "echo the post is gone; exit 3", true);
    let run = trusted.expect(Red);
    run.says("red (custom failed; install passed)")
        .says("why (recipe): tests/posts.sh: it ended with exit code 3")
        .says("the post is gone")
        .step("tests/posts.sh", Fail)
        .nothing_left();
}
