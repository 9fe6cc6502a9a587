//! The binary: reads the environment, runs the command line, exits with its code.

use std::{env, path::PathBuf, process::ExitCode};

use runner::{cli, env::Env, logging, recovery::guardian};

fn main() -> ExitCode {
    // A guardian waits beside every run, so it begins before the command line, the environment and the log take memory.
    if let Some(run_dir) = guardian::run_dir_of(env::args_os()) {
        return guardian::main(&run_dir, || env::var_os(logging::VARIABLE));
    }
    let exe = env::current_exe().unwrap_or_else(|_| PathBuf::from("taster"));
    cli::main(env::args_os(), &Env::read(|name| env::var_os(name), exe))
}
