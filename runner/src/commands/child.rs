//! `taster __child`: the shim that every child of a run is started through.
//!
//! The child ties its life to its parent's and waits for the start signal, a line on standard input. The parent sends it once
//! this process's id is in the journal, so that a cleanup after the parent knows of the child. Without the signal the parent is
//! gone.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{self, Command},
};

use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit};

use crate::{error::CommandError, output};

/// The exit code of shells for a program that cannot be started.
const NOT_STARTED: u8 = 127;

/// Becomes another program, which ends when taster does
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Child {
    /// The process that started this one
    #[arg(long)]
    parent: i32,
    /// The private memory that each of its processes may have, in bytes
    #[arg(long)]
    memory: Option<u64>,
    /// How long each of its processes may use a processor, in seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

impl Child {
    /// Runs the command, which returns only when the program cannot be started.
    pub fn run(self) -> Result<process::ExitCode, CommandError> {
        let failed = |message: String| Ok(report(&message));
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return failed(format!("the life of the child cannot be tied to its parent's: {error}"));
        }
        // A parent that died before the call above never sends the signal; then another process is the parent by now.
        if getppid().map(rustix::process::Pid::as_raw_pid) != Some(self.parent) {
            return failed("its parent is gone".to_owned());
        }
        if !start_signal_comes() {
            return failed("its parent did not let it start".to_owned());
        }
        // Both limits hold for root too, and the program's own children inherit them.
        for (resource, most) in [(Resource::Data, self.memory), (Resource::Cpu, self.seconds)] {
            let Some(most) = most else { continue };
            let maximum = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
            if let Err(error) = setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) }) {
                return failed(format!("the limits cannot be set: {error}"));
            }
        }
        let [program, args @ ..] = self.argv.as_slice() else { return failed("no program is named".to_owned()) };
        let error = Command::new(program).args(args).exec();
        failed(error.to_string())
    }
}

/// Reads byte by byte up to the end of the line, so that the program's own input stays unread.
fn start_signal_comes() -> bool {
    let mut byte = [0];
    loop {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(1) if byte[0] == b'\n' => return true,
            Ok(1) => {}
            _ => return false,
        }
    }
}

/// Prints why the program did not start; the parent reads it as the program's output.
fn report(message: &str) -> process::ExitCode {
    output::message(&format!("taster: {message}"));
    process::ExitCode::from(NOT_STARTED)
}
