//! The binary: reads the environment, runs the command line, exits with its code.

use std::{path::PathBuf, process::ExitCode};

use runner::{cli, env::Env};

fn main() -> ExitCode {
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("taster"));
    cli::main(std::env::args_os(), &Env::read(|name| std::env::var_os(name), exe))
}
