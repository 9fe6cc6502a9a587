//! Stories on a real Swarm. They run when the sandbox is up, and always when `CI=true`; ones that were not run are printed
//! as ignored.

mod abra;
mod sweep;
#[path = "sandbox.rs"]
mod local_host;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use unit_tests::engine::{AS_TASTER, Engine};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    if std::env::args_os().nth(1).is_some_and(|first| first == AS_TASTER) {
        return runner::cli::main(std::iter::once(program).chain(args.skip(1)));
    }
    let mut stories: Vec<Trial> = Vec::new();
    match Engine::answering("bb:1") {
        Some(engine) => {
            stories.extend(abra::stories(&engine));
            stories.extend(sweep::stories(&engine));
        }
        None => stories.push(Trial::test("swarm", || Ok(())).with_ignored_flag(true)),
    }
    // A sandbox starts its agent from the binary that made it, and here that is this program.
    if std::env::args_os().nth(1).is_some_and(|first| first == "sandbox") {
        return runner::cli::main(std::env::args_os());
    }
    let stories: Vec<Trial> = local_host::stories();
    libtest_mimic::run(&Arguments::from_args(), stories).exit_code()
}
