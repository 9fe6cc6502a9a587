//! The binary: parses the command line, runs the command, prints its error, exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::cli::main(std::env::args_os())
}
