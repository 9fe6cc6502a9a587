//! `taster __guardian`: sweeps when the run that started it was killed.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use rustix::process::setsid;

use crate::{
    aftermath::Reaching,
    cli::block_on,
    error::{CommandError, Exit},
    guardian::{READY, Word, act},
};

/// Waits for the end of a run, and sweeps what it left if it was killed
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Guardian {
    /// The run's folder
    run_dir: PathBuf,
}

impl Guardian {
    /// Does it: leaves the run's session, waits for its last word or the end of the line, acts.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        // What ends a whole group or session, as a terminal that closes, is not to end this. It fails for whom it was done already.
        let _ = setsid();
        ready().map_err(|error| CommandError::host(format!("cannot say that the guardian is ready: {error}")))?;
        // No runtime and no client is set up before there is something to do, so waiting costs next to nothing.
        let word = last_word();
        if word != Some(Word::Goodbye) {
            block_on(act(&self.run_dir, word, &Reaching::real()))?;
        }
        Ok(Exit::Green.into())
    }
}

/// Says that it is ready, and closes its output: nobody listens from here on.
fn ready() -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(&[READY])?;
    out.flush()?;
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(null)?;
    Ok(())
}

/// The last word of the run, once it has let go of the line.
fn last_word() -> Option<Word> {
    let mut word = None;
    let mut byte = [0];
    loop {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(1..) if byte[0] == Word::Goodbye.byte() => return Some(Word::Goodbye),
            Ok(1..) => word = Word::of(byte[0]),
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return word,
        }
    }
}
