//! The guardian of a run: a process beside it, in a separate session, that cleans up when the run is killed.
//!
//! The guardian reads a pipe whose write end only the run holds. At its end the run writes one byte; a pipe that closes without
//! it means that the run was killed. The guardian waits in a plain `read`, without a runtime, so that it costs next to no memory.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, PipeWriter, Write},
    path::{Path, PathBuf},
    process::{ExitCode as ProcessExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::stream::{self, BoxStream, StreamExt};
use harness::{
    adapters::clock::SystemClock,
    engine::steps::shared::cleanup::Pace,
    journal::{self, JournalReading, LockError, RunLock},
    model::{exit_code::ExitCode, text::with_causes},
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

use super::crash_recovery::{self, CleanupPolicy, HostAccess, HostConnector, RecoveryError};
use crate::{logging, runtime::block_on};

/// The first argument of a guardian's process; the folder of its run follows.
const COMMAND: &str = "__guardian";

/// The longest that a guardian may take to be ready. It takes some milliseconds.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a lost guardian is replaced. More losses mean that its end is intended.
const MAX_REPLACEMENTS: u32 = 3;
/// The longest that it tries to clean up before it leaves the rest to the janitor.
const PATIENCE: Duration = Duration::from_secs(600);
/// The pause before it tries again.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest that it waits for a child of a killed run to end.
const CHILD_EXIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The file in the run's folder that the guardian's log goes to, where `TASTER_LOG` is set.
const LOG_FILE: &str = "guardian.log";

/// The byte that the guardian writes once it is in a separate session, where signals to the run do not reach it.
pub const READY: u8 = b'.';

/// The message of a run to its guardian at its end, one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndMessage {
    /// The run has cleaned up, and nothing can appear any more: the guardian leaves at once.
    Done,
    /// The run has cleaned up, but children of it were ended by force, and the engine may still be at work for them.
    Watch,
}

impl EndMessage {
    /// Its byte.
    pub fn byte(self) -> u8 {
        match self {
            EndMessage::Done => b'g',
            EndMessage::Watch => b'w',
        }
    }

    /// The message that a byte is.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [EndMessage::Done, EndMessage::Watch].into_iter().find(|message| message.byte() == byte)
    }
}

/// The run's end of the pipe to its guardian.
#[derive(Debug, Clone, Default)]
pub struct GuardianPipe(Arc<Mutex<Option<PipeWriter>>>);

impl GuardianPipe {
    /// Sends the run's last message; `forced` says whether children were ended by force.
    pub fn finish(&self, forced: bool) {
        let message = if forced { EndMessage::Watch } else { EndMessage::Done };
        if let Some(mut writer) = self.writer().take() {
            // A guardian that is gone needs no message.
            let _ = writer.write_all(&[message.byte()]);
        }
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Option<PipeWriter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a guardian is started with.
struct Launch {
    exe: PathBuf,
    run_dir: PathBuf,
    /// The value of `TASTER_LOG`.
    log: Option<OsString>,
    pipe: GuardianPipe,
}

/// Starts a guardian beside the run in `run_dir`. Gives the pipe to it and the stream of its losses, a sentence each; a lost
/// guardian is replaced when its loss is taken from the stream. `log` is the value of `TASTER_LOG`.
pub async fn start_beside(exe: &Path, run_dir: &Path, log: Option<&OsStr>) -> (GuardianPipe, BoxStream<'static, String>) {
    let pipe = GuardianPipe::default();
    let run_dir = std::path::absolute(run_dir).unwrap_or_else(|_| run_dir.to_owned());
    let launch = Launch { exe: exe.to_owned(), run_dir, log: log.map(OsStr::to_owned), pipe: pipe.clone() };
    let first = launch.start().await;
    let watched = Watched { launch, now: Some(first), replaced: 0 };
    (pipe, stream::unfold(watched, Watched::next).boxed())
}

struct Watched {
    launch: Launch,
    now: Option<io::Result<Child>>,
    replaced: u32,
}

impl Watched {
    /// Waits for the loss of the guardian and replaces it; gives the loss as a sentence.
    async fn next(mut self) -> Option<(String, Self)> {
        const LATER: &str = "if the run is killed, the next run or `taster janitor` cleans up";
        // A guardian that ends before it is ready is as lost as one that ends later.
        let lost = match self.now.take()? {
            Err(error) => format!("the guardian of the run did not start: {error}"),
            Ok(mut child) => {
                let ended = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
                format!("the guardian of the run ended ({ended})")
            }
        };
        if self.replaced == MAX_REPLACEMENTS {
            return Some((format!("{lost}, and is not replaced again; {LATER}"), self));
        }
        self.replaced += 1;
        self.now = Some(self.launch.start().await);
        Some((format!("{lost}; another one is started"), self))
    }
}

impl Launch {
    /// Starts a guardian, and returns once it is out of reach of what ends the run.
    async fn start(&self) -> io::Result<Child> {
        // Both ends are closed in every program that is started, so the run alone holds the writer.
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&self.exe);
        command.arg(COMMAND).arg(&self.run_dir).env_clear().current_dir("/").stdin(reader).stdout(Stdio::piped());
        match &self.log {
            Some(level) => {
                let file = File::options().create(true).append(true).open(self.run_dir.join(LOG_FILE))?;
                command.env(logging::VARIABLE, level).stderr(file)
            }
            None => command.stderr(Stdio::null()),
        };
        let mut child = command.spawn()?;
        let mut output = Vec::new();
        let ready = match child.stdout.take() {
            Some(mut out) => {
                timeout(START_TIMEOUT, out.read_to_end(&mut output)).await.is_ok_and(|read| read.is_ok()) && output == [READY]
            }
            None => false,
        };
        if !ready {
            let _ = child.start_kill();
            return Err(io::Error::other("it does not report that it is ready"));
        }
        *self.pipe.writer() = Some(writer);
        Ok(child)
    }
}

/// The folder of the run that the process with these arguments guards; absent when it is not a guardian.
pub fn run_dir_of(args: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut args = args.into_iter().skip(1);
    (args.next()? == COMMAND).then(|| args.next())?.map(PathBuf::from)
}

/// The guardian's process for the run in `run_dir`: leaves the run's session, waits for the end of the run, cleans up after a run
/// that was killed. `log` reads the value of `TASTER_LOG`.
///
/// Neither runtime nor client nor log is set up before there is work for them, so that no page of the program is in memory that
/// waiting does not need.
pub fn main(run_dir: &Path, log: impl FnOnce() -> Option<OsString>) -> ProcessExitCode {
    // What ends a whole group or session, such as a terminal that closes, must not end the guardian. The call fails only for the
    // leader of a session, which is in a separate session already.
    let _ = setsid();
    if report_ready().is_err() {
        return ExitCode::Inconclusive.into();
    }
    let message = last_message();
    if message == Some(EndMessage::Done) {
        return ExitCode::Green.into();
    }
    // The run has checked the value.
    let _ = logging::init(log().as_deref());
    match block_on(act(run_dir, message, &HostConnector::real())) {
        Ok(()) => ExitCode::Green.into(),
        Err(error) => {
            tracing::error!("{}", error.in_one_line());
            error.exit_code().into()
        }
    }
}

/// Writes the byte [`READY`] and closes standard output, which the run reads up to its end.
fn report_ready() -> io::Result<()> {
    rustix::io::write(rustix::stdio::stdout(), &[READY])?;
    let null = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(null)?)
}

/// The last message of the run, once the run has closed the pipe; absent when it was killed.
fn last_message() -> Option<EndMessage> {
    let mut message = None;
    let mut byte = [0];
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
            Ok(1..) if byte[0] == EndMessage::Done.byte() => return Some(EndMessage::Done),
            Ok(1..) => message = EndMessage::from_byte(byte[0]),
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return message,
        }
    }
}

/// Cleans up once the pipe is closed; `message` is the run's last one.
pub async fn act(run_dir: &Path, message: Option<EndMessage>, connector: &HostConnector) {
    act_within(run_dir, message, connector, PATIENCE).await;
}

/// [`act`] with another patience.
pub async fn act_within(run_dir: &Path, message: Option<EndMessage>, connector: &HostConnector, patience: Duration) {
    tracing::info!(run_dir = %run_dir.display(), last_message = ?message, "the run has ended; cleanup begins");
    let until = Instant::now() + patience;
    let mut children_ended = message.is_some();
    loop {
        match attempt(run_dir, message, connector, &mut children_ended).await {
            Attempt::Final(reason) => return tracing::info!("cleanup is over: {reason}"),
            Attempt::Retry(reason) if Instant::now() < until => tracing::debug!("cleanup is tried again: {reason}"),
            Attempt::Retry(reason) => return tracing::warn!("cleanup is left to the janitor: {reason}"),
        }
        sleep(PAUSE).await;
    }
}

/// How one attempt to clean up ended.
#[derive(Debug)]
enum Attempt {
    /// The guardian can do nothing more, because of this.
    Final(String),
    /// Something that may pass is in the way.
    Retry(String),
}

async fn attempt(run_dir: &Path, message: Option<EndMessage>, connector: &HostConnector, children_ended: &mut bool) -> Attempt {
    let unreadable = |error: io::Error| Attempt::Final(format!("the journal cannot be read: {error}"));
    let reading = match journal::read(run_dir) {
        Ok(reading) => reading,
        Err(error) => return unreadable(error),
    };
    if message == Some(EndMessage::Watch) {
        // No lock is needed: nothing else cleans up what is released.
        return match watch(run_dir, &reading, connector).await {
            Ok(()) => Attempt::Final("the engine has finished what ended children asked it for".into()),
            Err(error) => Attempt::Retry(error.in_one_line()),
        };
    }
    if !*children_ended {
        // Children must not go on while something is in the way of the cleanup, which ends them too.
        *children_ended = true;
        for child in &reading.children {
            let _ = connector.children.end(child, CHILD_EXIT_TIMEOUT).await;
        }
    }
    let lock = match RunLock::attempt(run_dir) {
        Ok(lock) => lock,
        // The run's own end takes a moment; a janitor that holds the lock comes to the same end.
        Err(error @ (LockError::Held { .. } | LockError::Replaced { .. })) => return Attempt::Retry(with_causes(&error)),
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => return Attempt::Final(with_causes(&error)),
    };
    // Only what is read under the lock is final.
    let reading = match journal::read(run_dir) {
        Ok(reading) => reading,
        Err(error) => return unreadable(error),
    };
    // A run that was killed after it had decided to keep its app leaves it to the janitor, which knows when its time is over.
    if let Keeping::Valid(kept) = keeping(&reading.events, &reading.claims, SystemClock::start().wall()) {
        return Attempt::Final(format!("the run keeps {} until {}", kept.domain, kept.until));
    }
    if reading.settled() {
        // Without this event the reports would not say that the run was killed.
        return match crash_recovery::record_kill(lock, &reading, CleanedBy::Guardian) {
            Ok(()) => Attempt::Final("nothing is claimed".into()),
            Err(error) => Attempt::Final(error.in_one_line()),
        };
    }
    match clean_up(lock, &reading, connector).await {
        // What others hold, and what cannot be read, is named in the journal and left to the janitor.
        Ok(()) => Attempt::Final("all that can be removed is removed".into()),
        Err(error) => Attempt::Retry(error.in_one_line()),
    }
}

fn policy() -> CleanupPolicy {
    CleanupPolicy { by: CleanedBy::Guardian, pace: Pace::default(), wait_for_engine: true }
}

async fn clean_up(lock: RunLock, reading: &JournalReading, connector: &HostConnector) -> Result<(), RecoveryError> {
    let access = connect(reading, connector)?;
    crash_recovery::clean_up(&access, lock, reading, policy()).await.map(drop)
}

async fn watch(run_dir: &Path, reading: &JournalReading, connector: &HostConnector) -> Result<(), RecoveryError> {
    if reading.released.is_empty() {
        return Ok(());
    }
    crash_recovery::watch(&connect(reading, connector)?, run_dir, reading, policy()).await
}

fn connect(reading: &JournalReading, connector: &HostConnector) -> Result<HostAccess, RecoveryError> {
    let socket = reading.socket.clone().unwrap_or_else(|| crash_recovery::SOCKET.into());
    Ok((connector.connect)(&socket)?)
}
