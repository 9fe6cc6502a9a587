//! End-to-end tests on a real Swarm, and tests of whole programs that need no engine.
//!
//! Tests on a Swarm run when the sandbox is up, and always with `CI=true`; otherwise they are printed as ignored.

mod abra;
mod answers;
mod backup;
mod backup_and_restore;
mod bad_input;
mod browser;
mod cleanup;
mod compose;
mod conformance;
mod convergence;
mod custom;
mod executables;
mod faults;
mod ghost;
mod guardian;
mod kept_app;
mod kill;
mod late_effects;
mod lint;
mod local_sandbox;
mod new_app;
mod offline;
mod policy;
mod record;
mod redact;
mod runs;
mod sample;
mod settled_app;
mod soak;
mod thorough;
mod trials;
mod tutorial;
mod unfit_hosts;
mod upgrade;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use unit_tests::{
    engine::{AS_TASTER, Engine},
    sandbox_fixture::{self, IMAGE, SandboxFixture},
};

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    // Tests start this program again as taster, and their sandboxes start agent and abra from it.
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
    // Tests mostly wait for the Swarm, so more of them than there are cores run at once.
    arguments.test_threads.get_or_insert(4);
    let fixture = if arguments.list { Err("only listed".to_owned()) } else { SandboxFixture::find() };
    let mut tests = conformance::local();
    tests.extend(abra::local());
    tests.extend(custom::local());
    tests.extend(executables::local());
    let ghost = arguments.filter.as_ref().is_some_and(|filter| filter.starts_with("ghost"));
    tests.extend(on_a_swarm(fixture, arguments.list, ghost));
    libtest_mimic::run(&arguments, sample::draw(tests)).exit_code()
}

/// The tests that need a Swarm. Without one they are ignored; with `CI=true` one failing test replaces them. `ghost` is
/// whether the filter names the test of Ghost.
fn on_a_swarm(fixture: Result<SandboxFixture, String>, list: bool, ghost: bool) -> Vec<Trial> {
    let missing = fixture.as_ref().err().cloned();
    let fixture = fixture.ok();
    let engine = fixture.as_ref().map_or_else(|| Engine::local(IMAGE), |fixture| fixture.engine.clone());
    let fixture = fixture.as_ref();
    let mut tests = abra::tests(&engine);
    tests.extend(record::tests(&engine));
    tests.extend(conformance::tests(&engine));
    tests.extend(backup::tests(&engine));
    tests.extend(convergence::tests(&engine));
    tests.extend(compose::tests(&engine));
    tests.extend(cleanup::tests(&engine));
    tests.extend(custom::tests(&engine));
    tests.extend(local_sandbox::tests());
    tests.extend(answers::tests(fixture));
    tests.extend(runs::tests(fixture));
    tests.extend(custom::runs(fixture));
    tests.extend(browser::tests(fixture));
    tests.extend(executables::tests(fixture));
    tests.extend(kept_app::tests(fixture));
    tests.extend(ghost::tests(fixture, ghost));
    tests.extend(lint::tests(fixture));
    tests.extend(upgrade::tests(fixture));
    tests.extend(new_app::tests(fixture));
    tests.extend(backup_and_restore::tests(fixture));
    tests.extend(thorough::tests(fixture));
    tests.extend(tutorial::tests(fixture));
    tests.extend(guardian::tests(fixture));
    tests.extend(kill::tests(fixture));
    tests.extend(soak::tests(fixture));
    tests.extend(late_effects::tests(fixture));
    tests.extend(bad_input::tests(fixture));
    tests.extend(unfit_hosts::tests(fixture));
    tests.extend(faults::tests(fixture));
    tests.extend(redact::tests(fixture));
    tests.extend(settled_app::tests(fixture));
    tests.extend(offline::tests(fixture));
    tests.extend(policy::tests(fixture));
    let Some(missing) = missing.filter(|_| !list) else { return tests };
    if sandbox_fixture::env().ci {
        return vec![Trial::test("the sandbox is up", move || Err(missing.into()))];
    }
    print_notice(&format!("tests on a real Swarm are not run: {missing}; `taster sandbox up` makes it"));
    trials::not_run(tests)
}

#[expect(clippy::print_stderr, reason = "a test program says which tests it leaves out")]
fn print_notice(text: &str) {
    eprintln!("{text}");
}
