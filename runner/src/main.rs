//! The binary: reads the environment, runs the command line, exits with its code.

use std::{path::PathBuf, process::ExitCode};

use runner::{cli, env::Env, guardian};

fn main() -> ExitCode {
    // One waits beside every run, so it begins before the command line, the environment and all else take memory.
    if let Some(run_dir) = guardian::asked(std::env::args_os()) {
        return guardian::stand(&run_dir);
    }
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("taster"));
    cli::main(std::env::args_os(), &Env::read(|name| std::env::var_os(name), exe))
}
