//! Stories on a real Swarm. They run when the sandbox is up, and always when `CI=true`; ones that were not run are printed
//! as ignored. Beside them stand stories of whole programs that need no engine.

mod abra;
mod backup;
mod bad_input;
mod browser;
mod compose;
mod conformance;
mod custom;
mod faults;
mod ghost;
mod guard;
mod judge;
mod keep;
mod kill;
mod late;
mod life;
mod lint;
#[path = "sandbox.rs"]
mod local_host;
mod offline;
mod outside;
mod redact;
mod runs;
mod soak;
mod sweep;
mod thorough;
mod tutorial;
mod upgrade;
mod worlds;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use unit_tests::{
    engine::{AS_TASTER, Engine},
    sandbox_fixture::{self, SandboxFixture, IMAGE},
};

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    // Stories start this program again as taster, and a sandbox of theirs starts its agent and its abra from it.
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
    // Stories mostly wait for the Swarm, so more of them than there are cores go on at once.
    arguments.test_threads.get_or_insert(4);
    let ground = if arguments.list { Err("only listed".to_owned()) } else { SandboxFixture::find() };
    let mut stories = conformance::local();
    stories.extend(abra::local());
    stories.extend(custom::local());
    stories.extend(outside::local());
    let ghost = arguments.filter.as_ref().is_some_and(|filter| filter.starts_with("ghost"));
    stories.extend(on_a_swarm(ground, arguments.list, ghost));
    libtest_mimic::run(&arguments, stories).exit_code()
}

/// The stories that need a Swarm: as they are when there is one, ignored when there is none, and one that fails when there had
/// to be one. `ghost` says whether its story was asked for.
fn on_a_swarm(ground: Result<SandboxFixture, String>, list: bool, ghost: bool) -> Vec<Trial> {
    let missing = ground.as_ref().err().cloned();
    let ground = ground.ok();
    let engine = ground.as_ref().map_or_else(|| Engine::local(IMAGE), |ground| ground.engine.clone());
    let mut stories = abra::stories(&engine);
    stories.extend(conformance::stories(&engine));
    stories.extend(backup::stories(&engine));
    stories.extend(judge::stories(&engine));
    stories.extend(compose::stories(&engine));
    stories.extend(sweep::stories(&engine));
    stories.extend(custom::stories(&engine));
    stories.extend(local_host::stories());
    stories.extend(runs::stories(ground.as_ref()));
    stories.extend(custom::runs(ground.as_ref()));
    stories.extend(browser::stories(ground.as_ref()));
    stories.extend(outside::stories(ground.as_ref()));
    stories.extend(keep::stories(ground.as_ref()));
    stories.extend(ghost::stories(ground.as_ref(), ghost));
    stories.extend(lint::stories(ground.as_ref()));
    stories.extend(upgrade::stories(ground.as_ref()));
    stories.extend(life::stories(ground.as_ref()));
    stories.extend(thorough::stories(ground.as_ref()));
    stories.extend(tutorial::stories(ground.as_ref()));
    stories.extend(guard::stories(ground.as_ref()));
    stories.extend(kill::stories(ground.as_ref()));
    stories.extend(soak::stories(ground.as_ref()));
    stories.extend(late::stories(ground.as_ref()));
    stories.extend(bad_input::stories(ground.as_ref()));
    stories.extend(worlds::stories(ground.as_ref()));
    stories.extend(faults::stories(ground.as_ref()));
    stories.extend(redact::stories(ground.as_ref()));
    stories.extend(offline::stories(ground.as_ref()));
    let Some(missing) = missing.filter(|_| !list) else { return stories };
    if sandbox_fixture::env().ci {
        return vec![Trial::test("the sandbox is up", move || Err(missing.into()))];
    }
    tell(&format!("stories on a real Swarm are not run: {missing}; `taster sandbox up` makes it"));
    stories.into_iter().map(|story| story.with_ignored_flag(true).with_kind("not run")).collect()
}

#[expect(clippy::print_stderr, reason = "a test program tells what it leaves out")]
fn tell(text: &str) {
    eprintln!("{text}");
}
