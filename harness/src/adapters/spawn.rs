//! Starts one process of a run through the shim and waits for its end. No process that it started outlives the call, also when
//! the call is cancelled.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    process::{Child, Command},
    time::{Instant, sleep_until, timeout},
};

use super::{
    folder::Folder,
    output::keep,
    proc::start_ticks,
    process_tree::{CHILD_EXIT_TIMEOUT, ProcessTree},
};
use crate::{
    model::{host::Host, text::with_causes},
    ports::{ChildRegister, Exited, ProgramError, RunFolder},
    redact::Redact,
};

/// The environment variable that names the context.
const CONTEXT: &str = "TASTER_CONTEXT";
/// How that variable begins in an environment.
pub(super) const MARK: &[u8] = b"TASTER_CONTEXT=";
/// The folder for temporary files in the working folder. It is removed with the run, also when the process is killed.
const TEMPORARY: &str = "tmp";
/// The least size of the kept end of the output, in bytes.
const KEPT_BYTES: usize = 64 << 10;
/// The silence after which the rest of the output counts as read, when a left-over process holds it open.
const OUTPUT_SILENCE: Duration = Duration::from_millis(200);
/// The longest time for the rest of the output. Only a process that left the tree in every way still writes, and no call ends
/// that one.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The program to start, and its environment. All paths are absolute.
#[derive(Debug, Clone)]
pub struct ProgramSetup {
    /// The program and its first arguments; those of libtest follow.
    pub program: Vec<OsString>,
    /// The shim that starts the program: `taster __child`.
    pub shim: Vec<OsString>,
    /// The run's folder.
    pub folder: Folder,
    /// The host.
    pub host: Host,
    /// `HOME` for the program.
    pub home: PathBuf,
    /// `PATH` for the program.
    pub path: OsString,
    /// The name of its working folder, which also holds its answers. No other program of the run has the same.
    pub work_dir: &'static str,
    /// A file with the values that functions of the pack remembered in another run.
    pub memory: Option<PathBuf>,
}

/// One process to start.
pub(super) struct Launch<'a> {
    /// The program and its arguments.
    pub(super) argv: Vec<OsString>,
    /// Options of the shim.
    pub(super) limits: Vec<OsString>,
    /// Its `HOME`.
    pub(super) home: PathBuf,
    /// What it does, for the journal.
    pub(super) doing: String,
    /// The file with its context.
    pub(super) context: Option<&'a Path>,
    /// Its standard input.
    pub(super) input: &'a [u8],
}

/// Starts the processes of one program of a run.
pub(super) struct Launcher {
    pub(super) setup: ProgramSetup,
    children: Arc<dyn ChildRegister>,
    pub(super) redact: Arc<Redact>,
}

impl Launcher {
    /// `children` registers each process before it acts; `redact` hides the run's secrets in its output.
    pub(super) fn new(setup: ProgramSetup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        Self { setup, children, redact }
    }

    /// The working folder, created if it is missing. The run claims a folder above it, so cleanup removes it.
    pub(super) fn create_work_dir(&self) -> io::Result<PathBuf> {
        let work_dir = self.work_dir();
        fs::create_dir_all(work_dir.join(TEMPORARY))?;
        Ok(work_dir)
    }

    pub(super) fn work_dir(&self) -> PathBuf {
        self.setup.folder.abra_dir().join(self.setup.work_dir)
    }

    /// The output of a process without the run's secrets.
    pub(super) fn redacted(&self, raw: &[u8]) -> String {
        self.redact.text(&String::from_utf8_lossy(raw))
    }

    /// Runs a process to its end and returns its output. All processes that it started are killed before this returns.
    pub(super) async fn run(&self, launch: Launch<'_>, budget: Duration) -> Result<(Exited, Vec<u8>), ProgramError> {
        let (reader, writer) = io::pipe().map_err(not_run)?;
        let mut output = Output::new(reader).map_err(not_run)?;
        let mut child = self.command(&launch, writer).and_then(|mut command| command.spawn()).map_err(not_run)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let ticks = start_ticks(pid).unwrap_or_default();
        let mark = launch.context.map_or_else(|| self.work_dir(), Path::to_owned);
        let mut tree = KillOnDrop(Some(ProcessTree::new(pid, format!("{CONTEXT}={}", mark.display()))));
        // The child waits until it is registered. Without registration, dropping it ends it.
        let registered = self.children.started(pid, ticks, &launch.doing).await;
        registered.map_err(|error| ProgramError::NotRun { message: with_causes(&error) })?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&[b"go\n", launch.input].concat()).await.map_err(not_run)?;
        }

        let status = output.read_until_exit(&mut child, Instant::now() + budget).await.map_err(not_run)?;
        let all_ended = tree.kill_all(&mut child).await;
        output.drain().await;
        let exited = match status {
            None => {
                let _ = timeout(CHILD_EXIT_TIMEOUT, child.wait()).await;
                Exited::Deadline(budget)
            }
            Some(status) => status.code().map_or(Exited::Signal(status.signal().unwrap_or_default()), Exited::Code),
        };
        // A process that cannot be ended stays registered, and cleanup tries again.
        if all_ended {
            self.children.ended(pid).await;
        }
        Ok((exited, output.kept))
    }

    fn command(&self, launch: &Launch<'_>, output: io::PipeWriter) -> io::Result<Command> {
        let work_dir = self.create_work_dir()?;
        let (shim, args) = self.setup.shim.split_first().ok_or_else(|| io::Error::other("no shim is named"))?;
        let mut command = Command::new(shim);
        command.args(args).arg("--parent").arg(std::process::id().to_string()).args(&launch.limits).arg("--");
        command.args(&launch.argv);
        command.env_clear().env("PATH", &self.setup.path).env("HOME", &launch.home).env("LC_ALL", "C.UTF-8");
        command.env("TMPDIR", work_dir.join(TEMPORARY));
        // The variable also ties the process, and all that it starts, to the run: its value is a path in the run's folder.
        command.env(CONTEXT, launch.context.unwrap_or(&work_dir)).env("RUST_BACKTRACE", "0");
        command.current_dir(&work_dir).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }
}

/// A process that the machine could not start or watch.
#[expect(clippy::needless_pass_by_value, reason = "it is used as a function for `map_err`")]
pub(super) fn not_run(error: io::Error) -> ProgramError {
    ProgramError::NotRun { message: error.to_string() }
}

/// The output of a process on both its channels.
struct Output {
    pipe: pipe::Receiver,
    chunk: Vec<u8>,
    kept: Vec<u8>,
}

impl Output {
    fn new(reader: io::PipeReader) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(reader.into())?, chunk: vec![0; 16 << 10], kept: Vec::new() })
    }

    /// Collects the output until the process ends; without a status at the deadline.
    async fn read_until_exit(&mut self, child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Ok(None),
                read = self.pipe.read(&mut self.chunk), if open => match read {
                    Ok(count @ 1..) => keep(&mut self.kept, &self.chunk[..count], KEPT_BYTES),
                    Ok(0) | Err(_) => open = false,
                },
                status = child.wait() => return status.map(Some),
            }
        }
    }

    /// Reads the rest of the output, until a silence of [`OUTPUT_SILENCE`].
    async fn drain(&mut self) {
        let until = Instant::now() + DRAIN_TIMEOUT;
        while let Ok(Ok(count @ 1..)) = timeout(OUTPUT_SILENCE, self.pipe.read(&mut self.chunk)).await {
            keep(&mut self.kept, &self.chunk[..count], KEPT_BYTES);
            if Instant::now() > until {
                break;
            }
        }
    }
}

/// The process tree of one call. Dropping it kills the tree, so that a cancelled call does not go on acting.
struct KillOnDrop(Option<ProcessTree>);

impl KillOnDrop {
    /// Kills all processes of the tree and returns whether all have ended.
    async fn kill_all(&mut self, child: &mut Child) -> bool {
        let Some(tree) = &mut self.0 else { return true };
        let all_ended = tree.kill_all(|| drop(child.try_wait())).await;
        self.0 = None;
        all_ended
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(tree) = &mut self.0 {
            tree.kill_all_blocking();
        }
    }
}
