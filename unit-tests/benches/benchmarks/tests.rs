//! The overhead of a custom test.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{
    adapters::{
        folder::Folder,
        no_child_register::NoChildRegister,
        pack_program::{PackProgram, ProgramSetup},
    },
    author::{self, Checked, Linked, Suite, TestContext},
    engine::steps::shared::test_outcome::of_function,
    model::{
        host::Host,
        outcome::Outcome,
        pack::TestName,
        tested_app::{Images, TestedApp},
    },
    ports::TestProgram,
    redact::Redact,
};
use unit_tests::{event_log, sandbox_fixture, stacks::fresh_run};

use crate::{
    Bench,
    table::{Spread, print_line, row},
};

/// The first argument with which this program is the program of a pack whose test does nothing.
pub(crate) const EMPTY: &str = "__empty-pack";
/// How many tests are run.
const TIMES: u32 = 50;

/// The program of a pack whose test does nothing.
pub(crate) fn empty(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    async fn nothing(_: TestContext) -> Checked {
        Ok(())
    }
    fn suite() -> Suite {
        Suite::new().health("it does nothing", nothing)
    }
    let pack = Linked {
        name: "empty",
        settings: "",
        overlay: None,
        suites: &[("custom/nothing.rs", suite)],
        lifecycle: None,
        parity: None,
        warnings: &[],
    };
    author::main(&pack, sandbox_fixture::env().context.as_deref(), args)
}

pub(crate) fn overhead(bench: &Bench) {
    let Some(taster) = bench.release() else { return };
    let state = tempfile::tempdir().unwrap();
    let run = fresh_run();
    let setup = ProgramSetup {
        program: vec![std::env::current_exe().unwrap().into(), EMPTY.into()],
        shim: vec![taster.into(), "__child".into()],
        folder: Folder::of(state.path(), &run),
        host: Host::parse("zone = \"taster.test\"").unwrap(),
        home: state.path().into(),
        work_dir: "pack",
        memory: None,
        path: sandbox_fixture::env().path,
    };
    let program = PackProgram::new(setup, Arc::new(NoChildRegister), Arc::new(Redact::new()));
    let (head, test) = (event_log::head(), TestName::of_test("nothing", "it does nothing"));
    let mut ours = Spread::default();
    for _ in 0..TIMES {
        let started = Instant::now();
        let ran = {
            let app = TestedApp { head: &head, images: &Images::default() };
            bench.runtime.block_on(program.run_one(&test, app, Duration::from_secs(60))).unwrap()
        };
        ours.add(started.elapsed());
        assert_eq!(of_function(&test, &ran), Outcome::Passed);
    }
    row("taster, a test that does nothing (target: 10 ms)", &ours);
    baseline("bats", "bats, each of as many tests in a file", || {
        let tests: String = (0..TIMES).map(|number| format!("@test \"nothing {number}\" {{ true; }}\n")).collect();
        written(state.path(), "nothing.bats", &tests)
    });
    baseline("cargo-nextest", "nextest, each of as many tests in a crate", || nextest(state.path()));
}

/// Prints the time of one test in another runner, if that is installed: its whole run divided by the number of its tests.
fn baseline(program: &str, what: &str, prepare: impl Fn() -> Command) {
    if !std::env::split_paths(&sandbox_fixture::env().path).any(|folder| folder.join(program).is_file()) {
        print_line(&format!("  {what:<58} left out: there is no {program}"));
        return;
    }
    let mut each = Spread::default();
    for _ in 0..3 {
        let mut command = prepare();
        let started = Instant::now();
        let output = command.output().unwrap();
        each.add(started.elapsed() / TIMES);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    row(what, &each);
}

fn written(folder: &Path, name: &str, text: &str) -> Command {
    fs::write(folder.join(name), text).unwrap();
    let mut bats = Command::new("bats");
    bats.arg(folder.join(name));
    bats
}

fn nextest(folder: &Path) -> Command {
    let krate = folder.join("nothing");
    let tests: String = (0..TIMES).map(|number| format!("#[test]\nfn nothing_{number}() {{}}\n")).collect();
    fs::create_dir_all(krate.join("src")).unwrap();
    fs::write(krate.join("Cargo.toml"), "[package]\nname = \"nothing\"\nversion = \"0.1.0\"\n[workspace]\n").unwrap();
    fs::write(krate.join("src/lib.rs"), tests).unwrap();
    let cargo = |words: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(["nextest", "run", "--offline", "--test-threads", "1"]).args(words).current_dir(&krate);
        cargo
    };
    // The time to compile them is not part of the overhead.
    cargo(&["--no-run"]).output().unwrap();
    cargo(&[])
}
