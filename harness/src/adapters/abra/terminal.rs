//! One program on a terminal of its own, from its start to the end of all that it started.

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
    super::{output::keep, proc::start_ticks},
    classify::{Ended, question},
    tree::ProcessTree,
    screen::screen_text,
};

const SIZE: PtySize = PtySize { rows: 50, cols: 250, pixel_width: 0, pixel_height: 0 };
/// How long a program may tidy up after it was told to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long what it started and left behind may hold its terminal after its own end.
const LINGER: Duration = Duration::from_millis(200);
/// How much of the output is kept at least, in bytes: the end of it.
const KEPT: usize = 32 << 20;

/// What to start, and how.
#[derive(Debug)]
pub struct Start {
    /// The program and its arguments, the shim's first.
    pub argv: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<&'static str, OsString>,
    /// Its working directory; it must exist.
    pub cwd: PathBuf,
    /// What marks it and all that it starts, as the environment has it.
    pub mark: (&'static str, String),
}

/// What came of it.
#[derive(Debug)]
pub struct Seen {
    /// How it ended.
    pub ended: Ended,
    /// What it printed, byte for byte; at least the last 32 MiB of it.
    pub raw: Vec<u8>,
    /// Whether nothing that it started is alive any more.
    pub all_ended: bool,
}

/// A program that was started and waits for [`Running::go`].
pub struct Running {
    child: std::process::Child,
    /// Its process id, which is its group's and its session's too.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Comes when some child of this process ended.
    ends: tokio::signal::unix::Signal,
    tree: ProcessTree,
    output: mpsc::Receiver<Vec<u8>>,
    /// Kept to the end: when it is dropped, it types an end of file, which would answer a question.
    keyboard: Box<dyn Write + Send>,
    over: bool,
}

/// Starts the program on the calling thread, which must be the one that lives as long as the process: the death signal of
/// the shim is tied to it.
pub fn start(start: Start) -> io::Result<Running> {
    let pair = NativePtySystem::default().openpty(SIZE).map_err(io::Error::other)?;
    if let Some(path) = pair.master.tty_name() {
        // Without echo the word that lets the shim go does not show up in the output.
        // It is not to become this process's own terminal, which it would where this leads a session without one, as a service does.
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
    // Registered before there is a child, so that its end cannot be missed.
    let ends = signal(SignalKind::child())?;
    let child = pair.slave.spawn_command(command).map_err(io::Error::other)?;
    // As long as we hold the slave, the reader never sees the end.
    drop(pair.slave);
    let child: Box<dyn portable_pty::Child> = child;
    // The library's own exit status does not tell a signal from exit code 1; the standard library's does.
    let child = child.downcast::<std::process::Child>().map_err(|_| io::Error::other("the child is of an unknown kind"))?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let reader = pair.master.try_clone_reader().map_err(io::Error::other)?;
    let keyboard = pair.master.take_writer().map_err(io::Error::other)?;
    let start_ticks = start_ticks(pid).unwrap_or_default();
    let tree = ProcessTree::new(pid, mark);
    Ok(Running { child: *child, pid, start_ticks, ends, tree, output: read(reader)?, keyboard, over: false })
}

/// Reads on a thread of its own, because a blocking read cannot be given up. The thread ends with the terminal's last user;
/// the library reads the error that Linux gives then as the end.
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
    /// Lets the program go and sees it to its end. `quiet` is the silence after which a line that looks like a question is
    /// one. What it started is killed before this returns.
    pub async fn go(mut self, budget: Duration, quiet: Duration) -> io::Result<Seen> {
        let deadline = Instant::now() + budget;
        let mut raw = Vec::new();
        self.keyboard.write_all(b"go\n")?;
        self.keyboard.flush()?;
        let mut heard = Instant::now();
        let mut open = true;
        let mut listening = true;
        let ended = loop {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => break Ended::Deadline(budget),
                chunk = self.output.recv(), if open => match chunk {
                    Some(chunk) => {
                        keep(&mut raw, &chunk, KEPT);
                        heard = Instant::now();
                        listening = true;
                    }
                    None => open = false,
                },
                _ = self.ends.recv() => {
                    if let Some(status) = self.child.try_wait()? {
                        break Ended::by_itself(status);
                    }
                }
                () = sleep_until(heard + quiet), if listening => {
                    if question(&screen_text(tail(&raw))).is_some() {
                        break Ended::Prompted;
                    }
                    listening = false;
                }
            }
        };
        match ended {
            Ended::Deadline(_) | Ended::Prompted => {
                self.tree.signal(Signal::TERM);
                let _ = timeout(GRACE, self.exited()).await;
            }
            Ended::Exit(_) | Ended::Signal(_) => {}
        }
        self.drain(&mut raw, LINGER).await;
        let all_ended = self.kill_all().await;
        self.drain(&mut raw, LINGER).await;
        self.over = true;
        Ok(Seen { ended, raw, all_ended })
    }

    async fn exited(&mut self) {
        while let Ok(None) = self.child.try_wait() {
            self.ends.recv().await;
        }
    }

    /// Reads to the end of the output, but not for longer than `patience` without a word.
    async fn drain(&mut self, raw: &mut Vec<u8>, patience: Duration) {
        let until = Instant::now() + GRACE;
        while let Ok(Some(chunk)) = timeout(patience, self.output.recv()).await {
            keep(raw, &chunk, KEPT);
            if Instant::now() > until {
                break;
            }
        }
    }

    /// Kills until nobody is left. Says whether nobody is.
    async fn kill_all(&mut self) -> bool {
        let Self { tree, child, .. } = self;
        let all_ended = tree.kill_all(|| drop(child.try_wait())).await;
        // Its exit status is taken, so that nothing stays of it in the table of processes.
        let _ = child.try_wait();
        all_ended
    }
}

impl Drop for Running {
    /// A call that is given up half-way must not go on acting; its tree is killed, whoever dropped it.
    fn drop(&mut self) {
        if !self.over {
            // One that was just being born when its parent was killed is found by the next look.
            self.tree.kill_all_blocking();
            let _ = self.child.try_wait();
        }
    }
}

/// Enough of the end to see the last line.
fn tail(raw: &[u8]) -> &[u8] {
    &raw[raw.len().saturating_sub(4096)..]
}
