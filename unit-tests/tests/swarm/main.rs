//! Stories on a real Swarm. They run when the sandbox is up, and always when `CI=true`; ones that were not run are printed
//! as ignored.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let stories: Vec<Trial> = Vec::new();
    libtest_mimic::run(&Arguments::from_args(), stories).exit_code()
}
