//! Stories on a real Swarm. They run when the sandbox is up, and always when `CI=true`; ones that were not run are printed
//! as ignored.

mod abra;
#[path = "sandbox.rs"]
mod local_host;
mod conformance;
mod sweep;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use unit_tests::{
    engine::{AS_TASTER, Engine},
    ground::{self, Ground, IMAGE},
};

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    // Stories start this program again as taster, and a sandbox of theirs starts its agent and its abra from it.
    match args.get(1).and_then(|first| first.to_str()) {
        Some(AS_TASTER) => {
            args.remove(1);
            return runner::cli::main(args, &ground::env());
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    if std::env::args_os().nth(1).is_some_and(|first| first == OsString::from(AS_TASTER)) {
        return runner::cli::main(std::iter::once(program).chain(args.skip(1)));
    }
    let mut stories: Vec<Trial> = conformance::local();
    stories.extend(abra::local());
    match Engine::answering("bb:1") {
        Some(engine) => {
            stories.extend(abra::stories(&engine));
            stories.extend(conformance::stories(&engine));
            stories.extend(sweep::stories(&engine));
        }
        Some("sandbox") => return runner::cli::main(args, &ground::env()),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let ground = if arguments.list { Err("only listed".to_owned()) } else { Ground::find() };
    let missing = ground.as_ref().err().cloned();
    let engine = ground.as_ref().map_or_else(|_| Engine::local(IMAGE), |ground| ground.engine.clone());
    let mut stories = abra::stories(&engine);
    stories.extend(sweep::stories(&engine));
    stories.extend(local_host::stories());
    if let Some(missing) = missing.filter(|_| !arguments.list) {
        if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
            stories = vec![Trial::test("the sandbox is up", move || Err(missing.into()))];
        } else {
            stories = stories.into_iter().map(|story| story.with_ignored_flag(true).with_kind("not run")).collect();
            tell(&format!("stories on a real Swarm are not run: {missing}; `taster sandbox up` makes it"));
        }
    }
    libtest_mimic::run(&arguments, stories).exit_code()
}

#[expect(clippy::print_stderr, reason = "a test program tells what it leaves out")]
fn tell(text: &str) {
    eprintln!("{text}");
}
