//! Turns the test functions of a file into trials of libtest-mimic, named `file::function`.

use libtest_mimic::{Failed, Trial};
use unit_tests::{engine::Engine, sandbox_fixture::SandboxFixture, scratch_engine, test_env::TestEnv};

use crate::print_notice;

/// A test function and the name of its trial.
pub(crate) type Named<F> = (&'static str, F);

/// Lists test functions with their names.
macro_rules! e2e_tests {
    ($($test:ident),+ $(,)?) => {
        [$((concat!(module_path!(), "::", stringify!($test)), $test)),+]
    };
}
pub(crate) use e2e_tests;

/// A trial that is named without the name of the test program.
pub(crate) fn trial(name: &str, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name.split_once("::").map_or(name, |(_, name)| name), test)
}

/// Tests that need no engine.
pub(crate) fn local(tests: &[Named<fn()>]) -> Vec<Trial> {
    let trial = |&(name, test): &Named<fn()>| {
        trial(name, move || {
            test();
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}

/// Tests on an engine.
pub(crate) fn on_engine(engine: &Engine, tests: &[Named<fn(&Engine)>]) -> Vec<Trial> {
    let trial = |&(name, test): &Named<fn(&Engine)>| {
        let engine = engine.clone();
        trial(name, move || {
            test(&engine);
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}

/// Tests of whole runs, each in its own [`TestEnv`].
pub(crate) fn in_env(fixture: Option<&SandboxFixture>, tests: &[Named<fn(&TestEnv<'_>)>]) -> Vec<Trial> {
    let trial = |&(name, test): &Named<fn(&TestEnv<'_>)>| {
        let fixture = fixture.cloned();
        trial(name, move || {
            let fixture = fixture.ok_or_else(|| Failed::from("there is no sandbox"))?;
            test(&TestEnv::new(&fixture));
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}

/// Tests of whole runs that start a second engine. Where it cannot be started they are ignored, and fail with `CI=true`.
pub(crate) fn with_scratch_engine(fixture: Option<&SandboxFixture>, tests: &[Named<fn(&TestEnv<'_>)>]) -> Vec<Trial> {
    let tests = in_env(fixture, tests);
    match scratch_engine::missing() {
        Some(why) if fixture.is_some() && !unit_tests::sandbox_fixture::env().ci => {
            print_notice(&format!("tests with a second engine are not run: {why}"));
            not_run(tests)
        }
        Some(_) | None => tests,
    }
}

/// The trials as ignored ones, marked as not run.
pub(crate) fn not_run(tests: Vec<Trial>) -> Vec<Trial> {
    tests.into_iter().map(|test| test.with_ignored_flag(true).with_kind("not run")).collect()
}
