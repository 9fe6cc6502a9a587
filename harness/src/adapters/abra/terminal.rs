//! One program on a pseudo-terminal, from its start to the end of all processes that it started.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::Duration,
};

use portable_pty::{CommandBuilder, NativePtySystem, PtySize, PtySystem};
use rustix::{
    fs::OFlags,
    process::Signal,
    termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    super::{output::keep, proc::start_ticks, process_tree::ProcessTree},
    classify::{Ended, question},
    screen::screen_text,
};

const SIZE: PtySize = PtySize { rows: 50, cols: 250, pixel_width: 0, pixel_height: 0 };
/// The time between SIGTERM and SIGKILL, and the longest time for the rest of the output.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// The silence after which the rest of the output counts as read, when a left-over process holds the terminal.
const OUTPUT_SILENCE: Duration = Duration::from_millis(200);
/// The least size of the kept end of the output, in bytes.
const KEPT_BYTES: usize = 32 << 20;

/// The program to start, and its environment.
#[derive(Debug)]
pub struct Start {
    /// The program and its arguments, the shim's first.
    pub argv: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<&'static str, OsString>,
    /// Its working directory; it must exist.
    pub cwd: PathBuf,
    /// The variable that marks the program and all processes that it starts.
    pub mark: (&'static str, String),
}

/// The result of a program.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// Its output, byte for byte; at least the last 32 MiB of it.
    pub raw: Vec<u8>,
    /// Whether all processes that it started have ended.
    pub all_ended: bool,
}

/// A program that waits for [`Running::run`]. Dropping it kills all its processes.
pub struct Running {
    child: std::process::Child,
    /// Its process id, which is also the id of its group and session.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// SIGCHLD of this process.
    child_signals: tokio::signal::unix::Signal,
    tree: ProcessTree,
    output: mpsc::Receiver<Vec<u8>>,
    /// Kept to the end: dropping it types an end of file, which would answer a question.
    keyboard: Box<dyn Write + Send>,
    finished: bool,
}

/// Starts the program on the calling thread. That thread has to live as long as the process, because the shim's death signal is
/// tied to it.
pub fn start(start: Start) -> io::Result<Running> {
    let pair = NativePtySystem::default().openpty(SIZE).map_err(io::Error::other)?;
    if let Some(path) = pair.master.tty_name() {
        // Without echo the line that starts the shim is not in the output. Without NOCTTY a session leader that has no terminal,
        // such as a service, would take this one as its controlling terminal.
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let terminal = File::options().read(true).write(true).custom_flags(flags).open(path)?;
        let mut modes = tcgetattr(&terminal)?;
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    }
    let mut command = CommandBuilder::from_argv(start.argv);
    command.env_clear();
    let mark = format!("{}={}", start.mark.0, start.mark.1);
    command.env(start.mark.0, &start.mark.1);
    for (name, value) in &start.env {
        command.env(name, value);
    }
    command.cwd(&start.cwd);
    // Registered before the child exists, so that its end cannot be missed.
    let child_signals = signal(SignalKind::child())?;
    let child = pair.slave.spawn_command(command).map_err(io::Error::other)?;
    // A held slave keeps the reader from its end of file.
    drop(pair.slave);
    let child: Box<dyn portable_pty::Child> = child;
    // The exit status of the library does not distinguish a signal from exit code 1; that of the standard library does.
    let child = child.downcast::<std::process::Child>().map_err(|_| io::Error::other("the child is of an unknown kind"))?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let reader = pair.master.try_clone_reader().map_err(io::Error::other)?;
    let keyboard = pair.master.take_writer().map_err(io::Error::other)?;
    let start_ticks = start_ticks(pid).unwrap_or_default();
    let tree = ProcessTree::new(pid, mark);
    Ok(Running { child: *child, pid, start_ticks, child_signals, tree, output: read(reader)?, keyboard, finished: false })
}

/// Reads on a separate thread, because a blocking read cannot be cancelled. The thread ends with the
/// terminal's last user: Linux then returns an error, which the library reports as the end.
fn read(mut reader: Box<dyn Read + Send>) -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

impl Running {
    /// Lets the program start and waits for its end. `quiet` is the silence after which a line that looks like a question is one.
    /// All processes of the program are killed before this returns.
    pub async fn run(mut self, budget: Duration, quiet: Duration) -> io::Result<Finished> {
        let mut raw = Vec::new();
        self.keyboard.write_all(b"go\n")?;
        self.keyboard.flush()?;
        let ended = self.wait(&mut raw, budget, quiet).await?;
        match ended {
            Ended::Deadline(_) | Ended::Prompted => {
                self.tree.signal(Signal::TERM);
                let _ = timeout(KILL_GRACE, self.exited()).await;
            }
            Ended::Exit(_) | Ended::Signal(_) => {}
        }
        self.drain(&mut raw).await;
        let all_ended = self.kill_all().await;
        self.drain(&mut raw).await;
        self.finished = true;
        Ok(Finished { ended, raw, all_ended })
    }

    /// Collects the output until the program ends, asks a question, or exceeds its budget.
    async fn wait(&mut self, raw: &mut Vec<u8>, budget: Duration, quiet: Duration) -> io::Result<Ended> {
        let deadline = Instant::now() + budget;
        let mut last_output = Instant::now();
        let mut open = true;
        let mut may_ask = true;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Ok(Ended::Deadline(budget)),
                chunk = self.output.recv(), if open => match chunk {
                    Some(chunk) => {
                        keep(raw, &chunk, KEPT_BYTES);
                        last_output = Instant::now();
                        may_ask = true;
                    }
                    None => open = false,
                },
                _ = self.child_signals.recv() => {
                    if let Some(status) = self.child.try_wait()? {
                        return Ok(Ended::by_itself(status));
                    }
                }
                () = sleep_until(last_output + quiet), if may_ask => {
                    if question(&screen_text(tail(raw))).is_some() {
                        return Ok(Ended::Prompted);
                    }
                    may_ask = false;
                }
            }
        }
    }

    async fn exited(&mut self) {
        while let Ok(None) = self.child.try_wait() {
            self.child_signals.recv().await;
        }
    }

    /// Reads the rest of the output, until a silence of [`OUTPUT_SILENCE`].
    async fn drain(&mut self, raw: &mut Vec<u8>) {
        let until = Instant::now() + KILL_GRACE;
        while let Ok(Some(chunk)) = timeout(OUTPUT_SILENCE, self.output.recv()).await {
            keep(raw, &chunk, KEPT_BYTES);
            if Instant::now() > until {
                break;
            }
        }
    }

    /// Kills all processes of the program and returns whether all have ended.
    async fn kill_all(&mut self) -> bool {
        let Self { tree, child, .. } = self;
        let all_ended = tree.kill_all(|| drop(child.try_wait())).await;
        // Taking the exit status removes the child from the table of processes.
        let _ = child.try_wait();
        all_ended
    }
}

impl Drop for Running {
    /// A cancelled call must not go on acting, so all its processes are killed.
    fn drop(&mut self) {
        if !self.finished {
            self.tree.kill_all_blocking();
            let _ = self.child.try_wait();
        }
    }
}

/// The end of the output, which holds the last line.
fn tail(raw: &[u8]) -> &[u8] {
    &raw[raw.len().saturating_sub(4096)..]
}
