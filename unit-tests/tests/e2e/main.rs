//! Tests on a real Swarm. They run when the sandbox is up, and always when `CI=true`; ones that were not run are printed
//! as ignored. Beside them stand tests of whole programs that need no engine.

mod abra;
mod backup;
mod bad_input;
mod browser;
mod compose;
mod conformance;
mod custom;
mod faults;
mod ghost;
mod guardian;
mod convergence;
mod kept_app;
mod kill;
mod after_kill;
mod life;
mod lint;
mod local_sandbox;
mod offline;
mod executables;
mod redact;
mod runs;
mod soak;
mod cleanup;
mod thorough;
mod tutorial;
mod upgrade;
mod unfit_hosts;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use unit_tests::{
    engine::{AS_TASTER, Engine},
    sandbox_fixture::{self, SandboxFixture, IMAGE},
};

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    // Tests start this program again as taster, and a sandbox of theirs starts its agent and its abra from it.
    match args.get(1).and_then(|first| first.to_str()) {
        Some(AS_TASTER) => {
            args.remove(1);
            return runner::cli::main(args, &sandbox_fixture::env());
        }
        Some(custom::SCRATCH) => return custom::scratch(args.split_off(2)),
        Some("sandbox") => return runner::cli::main(args, &sandbox_fixture::env()),
        _ => {}
    }
    let mut arguments = Arguments::from_args();
    // Tests mostly wait for the Swarm, so more of them than there are cores go on at once.
    arguments.test_threads.get_or_insert(4);
    let fixture = if arguments.list { Err("only listed".to_owned()) } else { SandboxFixture::find() };
    let mut tests = conformance::local();
    tests.extend(abra::local());
    tests.extend(custom::local());
    tests.extend(executables::local());
    let ghost = arguments.filter.as_ref().is_some_and(|filter| filter.starts_with("ghost"));
    tests.extend(on_a_swarm(fixture, arguments.list, ghost));
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// The tests that need a Swarm: as they are when there is one, ignored when there is none, and one that fails when there had
/// to be one. `ghost` says whether its test was asked for.
fn on_a_swarm(fixture: Result<SandboxFixture, String>, list: bool, ghost: bool) -> Vec<Trial> {
    let missing = fixture.as_ref().err().cloned();
    let fixture = fixture.ok();
    let engine = fixture.as_ref().map_or_else(|| Engine::local(IMAGE), |fixture| fixture.engine.clone());
    let mut tests = abra::tests(&engine);
    tests.extend(conformance::tests(&engine));
    tests.extend(backup::tests(&engine));
    tests.extend(convergence::tests(&engine));
    tests.extend(compose::tests(&engine));
    tests.extend(cleanup::tests(&engine));
    tests.extend(custom::tests(&engine));
    tests.extend(local_sandbox::tests());
    tests.extend(runs::tests(fixture.as_ref()));
    tests.extend(custom::runs(fixture.as_ref()));
    tests.extend(browser::tests(fixture.as_ref()));
    tests.extend(executables::tests(fixture.as_ref()));
    tests.extend(kept_app::tests(fixture.as_ref()));
    tests.extend(ghost::tests(fixture.as_ref(), ghost));
    tests.extend(lint::tests(fixture.as_ref()));
    tests.extend(upgrade::tests(fixture.as_ref()));
    tests.extend(life::tests(fixture.as_ref()));
    tests.extend(thorough::tests(fixture.as_ref()));
    tests.extend(tutorial::tests(fixture.as_ref()));
    tests.extend(guardian::tests(fixture.as_ref()));
    tests.extend(kill::tests(fixture.as_ref()));
    tests.extend(soak::tests(fixture.as_ref()));
    tests.extend(after_kill::tests(fixture.as_ref()));
    tests.extend(bad_input::tests(fixture.as_ref()));
    tests.extend(unfit_hosts::tests(fixture.as_ref()));
    tests.extend(faults::tests(fixture.as_ref()));
    tests.extend(redact::tests(fixture.as_ref()));
    tests.extend(offline::tests(fixture.as_ref()));
    let Some(missing) = missing.filter(|_| !list) else { return tests };
    if sandbox_fixture::env().ci {
        return vec![Trial::test("the sandbox is up", move || Err(missing.into()))];
    }
    tell(&format!("tests on a real Swarm are not run: {missing}; `taster sandbox up` makes it"));
    tests.into_iter().map(|test| test.with_ignored_flag(true).with_kind("not run")).collect()
}

#[expect(clippy::print_stderr, reason = "a test program tells what it leaves out")]
fn tell(text: &str) {
    eprintln!("{text}");
}
