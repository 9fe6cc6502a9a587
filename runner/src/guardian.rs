//! The guardian of a run: a process beside it, in a session of its own, that sweeps when the run was killed.
//!
//! It holds one end of a pipe whose other end only the run has. The run says a word when it comes to its end; when the pipe closes
//! without one, the run was killed. It waits in a plain `read`, so that it costs next to nothing.

use std::{
    ffi::OsString,
    io::{self, PipeWriter, Write},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    adapters::clock::SystemClock,
    engine::steps::cleanup::Pace,
    journal::{self, LockError, Reading, RunLock},
    ports::Clock,
    pure::run::{
        event::CleanedBy,
        kept_app::{Keeping, keeping},
    },
};
use rustix::{io::Errno, process::setsid};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    cli::block_on,
    crash_recovery::{self, CleanupPolicy, HostAccess, Reaching},
    error::Exit,
};

/// The first argument of a process that is a guardian; the folder of its run follows.
const COMMAND: &str = "__guardian";

/// How long a guardian may take to be ready. It takes some milliseconds.
const START: Duration = Duration::from_secs(5);
/// How often a lost guardian is replaced: whoever ends them again and again wants none.
const REPLACED: u32 = 3;
/// How long it tries to sweep before it leaves the rest to the janitor.
const PATIENCE: Duration = Duration::from_secs(600);
/// The pause before it tries again.
const PAUSE: Duration = Duration::from_secs(2);
/// How long it waits for the children of a killed run to end.
const BURIAL: Duration = Duration::from_secs(5);

/// What the guardian says once it is in a session of its own, where what ends the run does not end it.
pub const READY: u8 = b'.';

/// What a run says to its guardian at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It has swept, and nothing can come any more: the guardian leaves at once.
    Goodbye,
    /// It has swept, but children of it were ended by force, and the engine may still be at work for them.
    Watch,
}

impl Word {
    /// The byte for it.
    pub fn byte(self) -> u8 {
        match self {
            Word::Goodbye => b'g',
            Word::Watch => b'w',
        }
    }

    /// The word that a byte is.
    pub fn of(byte: u8) -> Option<Self> {
        [Word::Goodbye, Word::Watch].into_iter().find(|word| word.byte() == byte)
    }
}

/// The run's end of the line to its guardian.
#[derive(Debug, Clone, Default)]
pub struct Line(Arc<Mutex<Option<PipeWriter>>>);

impl Line {
    /// Tells the guardian that the run came to its own end, and whether children had to be ended by force.
    pub fn part(&self, forced: bool) {
        let word = if forced { Word::Watch } else { Word::Goodbye };
        if let Some(mut line) = self.held().take() {
            // A guardian that is gone needs no word.
            let _ = line.write_all(&[word.byte()]);
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<PipeWriter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a guardian beside the run in `run_dir`, and gives the line to it and the news of its losses, a sentence each. A lost one is
/// replaced when the news is taken.
pub async fn beside(exe: &Path, run_dir: &Path) -> (Line, BoxStream<'static, String>) {
    let line = Line::default();
    let (exe, run_dir) = (exe.to_owned(), std::path::absolute(run_dir).unwrap_or_else(|_| run_dir.to_owned()));
    let first = start(&exe, &run_dir, &line).await;
    let watched = Watched { exe, run_dir, line: line.clone(), now: Some(first), replaced: 0 };
    (line, stream::unfold(watched, Watched::next).boxed())
}

struct Watched {
    exe: PathBuf,
    run_dir: PathBuf,
    line: Line,
    now: Option<io::Result<Child>>,
    replaced: u32,
}

impl Watched {
    /// Waits for the loss of the guardian, replaces it, and says so.
    async fn next(mut self) -> Option<(String, Self)> {
        const SWEEPS: &str = "if the run is killed, the next run or `taster janitor` sweeps what is left";
        // One that is ended before it is ready is as lost as one that is ended later.
        let lost = match self.now.take()? {
            Err(error) => format!("the guardian of the run did not start: {error}"),
            Ok(mut child) => {
                let ended = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
                format!("the guardian of the run ended ({ended})")
            }
        };
        if self.replaced == REPLACED {
            return Some((format!("{lost}, and is not replaced again; {SWEEPS}"), self));
        }
        self.replaced += 1;
        self.now = Some(start(&self.exe, &self.run_dir, &self.line).await);
        Some((format!("{lost}; another one is started"), self))
    }
}

/// Starts one, and returns when it is out of reach of what ends the run.
async fn start(exe: &Path, run_dir: &Path, line: &Line) -> io::Result<Child> {
    // Both ends are closed in every program that is started, so the run alone holds the writer.
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(exe);
    command.arg(COMMAND).arg(run_dir).env_clear().current_dir("/");
    let mut child = command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut said = Vec::new();
    let ready = match child.stdout.take() {
        Some(mut out) => timeout(START, out.read_to_end(&mut said)).await.is_ok_and(|read| read.is_ok()) && said == [READY],
        None => false,
    };
    if !ready {
        let _ = child.start_kill();
        return Err(io::Error::other("it does not say that it is ready"));
    }
    *line.held() = Some(writer);
    Ok(child)
}

/// The folder of the run whose guardian the process with these arguments is to be.
pub fn asked(args: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut args = args.into_iter().skip(1);
    (args.next()? == COMMAND).then(|| args.next())?.map(PathBuf::from)
}

/// Is the guardian of the run in `run_dir`, in this process: leaves the run's session, waits for its last word or the end of the line,
/// acts.
///
/// No runtime and no client is set up, and no page of the program touched that waiting can do without, before there is something to do.
pub fn stand(run_dir: &Path) -> ExitCode {
    // What ends a whole group or session, as a terminal that closes, is not to end this. It fails for whom it was done already.
    let _ = setsid();
    if ready().is_err() {
        return Exit::Inconclusive.into();
    }
    let word = last_word();
    if word != Some(Word::Goodbye) && block_on(act(run_dir, word, &Reaching::real())).is_err() {
        return Exit::Inconclusive.into();
    }
    Exit::Green.into()
}

/// Says that it is ready, and closes its output: nobody listens from here on.
fn ready() -> io::Result<()> {
    rustix::io::write(rustix::stdio::stdout(), &[READY])?;
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(null)?)
}

/// The last word of the run, once it has let go of the line.
fn last_word() -> Option<Word> {
    let mut word = None;
    let mut byte = [0];
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
            Ok(1..) if byte[0] == Word::Goodbye.byte() => return Some(Word::Goodbye),
            Ok(1..) => word = Word::of(byte[0]),
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return word,
        }
    }
}

/// Does what is left to do once the line is closed; `word` is what the run said last.
pub async fn act(run_dir: &Path, word: Option<Word>, reaching: &Reaching) {
    act_within(run_dir, word, reaching, PATIENCE).await;
}

/// [`act`] with another patience.
pub async fn act_within(run_dir: &Path, word: Option<Word>, reaching: &Reaching, patience: Duration) {
    let until = Instant::now() + patience;
    let mut buried = word.is_some();
    while attempt(run_dir, word, reaching, &mut buried).await == Attempt::Again && Instant::now() < until {
        sleep(PAUSE).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// There is nothing more that it could do.
    Over,
    /// Something that may pass stood in its way.
    Again,
}

async fn attempt(run_dir: &Path, word: Option<Word>, reaching: &Reaching, buried: &mut bool) -> Attempt {
    let Ok(reading) = journal::read(run_dir) else { return Attempt::Over };
    if word == Some(Word::Watch) {
        // Nobody else looks after what is released, so no lock is needed.
        return if watch(run_dir, &reading, reaching).await.is_ok() { Attempt::Over } else { Attempt::Again };
    }
    if !*buried {
        // They must not go on acting as long as something stands in the way of the sweep, which looks after them once more.
        *buried = true;
        for child in &reading.children {
            let _ = reaching.children.end(child, BURIAL).await;
        }
    }
    let lock = match RunLock::attempt(run_dir) {
        Ok(lock) => lock,
        // The run's own end takes a moment; a janitor that is at it comes to the same end.
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => return Attempt::Again,
        Err(LockError::NoFile { .. } | LockError::System { .. }) => return Attempt::Over,
    };
    // Only what is read under the lock is final.
    let Ok(reading) = journal::read(run_dir) else { return Attempt::Over };
    // A run that was killed after it had decided to keep its app leaves it to the janitor, which knows when its time is over.
    if let Keeping::Valid(_) = keeping(&reading, SystemClock::start().wall()) {
        return Attempt::Over;
    }
    if reading.settled() {
        // Without its word the reports would not say that the run was killed.
        let _ = crash_recovery::tell(lock, &reading, CleanedBy::Guardian);
        return Attempt::Over;
    }
    match clean_up(lock, &reading, reaching).await {
        // What others hold, and what cannot be read, is named in the journal and left to the janitor.
        Ok(()) => Attempt::Over,
        Err(_) => Attempt::Again,
    }
}

fn manner() -> CleanupPolicy {
    CleanupPolicy { by: CleanedBy::Guardian, pace: Pace::default(), stays: true }
}

async fn clean_up(lock: RunLock, reading: &Reading, reaching: &Reaching) -> Result<(), String> {
    let reach = reached(reading, reaching)?;
    crash_recovery::clean_up(&reach, lock, reading, manner()).await.map(drop)
}

async fn watch(run_dir: &Path, reading: &Reading, reaching: &Reaching) -> Result<(), String> {
    if reading.released.is_empty() {
        return Ok(());
    }
    crash_recovery::watch(&reached(reading, reaching)?, run_dir, reading, manner()).await
}

fn reached(reading: &Reading, reaching: &Reaching) -> Result<HostAccess, String> {
    let socket = reading.engine.clone().unwrap_or_else(|| crash_recovery::SOCKET.into());
    (reaching.engine)(&socket).map_err(|error| error.to_string())
}
