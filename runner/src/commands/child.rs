//! `taster __child`: the shim that every child of a run is started through.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit};

use crate::{error::CommandError, output};

/// What shells exit with when they cannot start a program.
const NOT_STARTED: u8 = 127;

/// Becomes another program, which ends when taster does
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Child {
    /// The process that started this one
    #[arg(long)]
    parent: i32,
    /// How much memory of its own each of its processes may have, in bytes
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
    /// Does it: ties its life to the parent's, waits for a line on standard input, becomes the program.
    ///
    /// The line comes when the parent has written this process's id to its journal, so that whoever sweeps after the parent
    /// knows of it. No line means that the parent is gone or gave up.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let failed = |what: String| Ok(report(&what));
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return failed(format!("cannot be tied to the life of its parent: {error}"));
        }
        // The parent may have died before the signal was asked for; then another process is the parent by now.
        if getppid().map(rustix::process::Pid::as_raw_pid) != Some(self.parent) {
            return failed("its parent is gone".to_owned());
        }
        if !told_to_go() {
            return failed("was not told to go".to_owned());
        }
        // Both limits hold for root too, and what the program starts inherits them.
        for (resource, most) in [(Resource::Data, self.memory), (Resource::Cpu, self.seconds)] {
            let Some(most) = most else { continue };
            let maximum = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
            if let Err(error) = setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) }) {
                return failed(format!("cannot be limited: {error}"));
            }
        }
        let [program, args @ ..] = self.argv.as_slice() else { return failed("no program is named".to_owned()) };
        let error = Command::new(program).args(args).exec();
        failed(error.to_string())
    }
}

/// Reads byte by byte up to the end of the line, so that nothing of the program's own input is taken.
fn told_to_go() -> bool {
    let mut byte = [0];
    loop {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(1) if byte[0] == b'\n' => return true,
            Ok(1) => {}
            _ => return false,
        }
    }
}

/// The parent reads this from the terminal.
fn report(what: &str) -> ExitCode {
    output::tell(&format!("taster: {what}"));
    ExitCode::from(NOT_STARTED)
}
