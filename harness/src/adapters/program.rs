//! The program of a pack, started through the shim: one process for each function.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    process::{Child as Process, Command},
    time::{Instant, sleep_until, timeout},
};

use super::{
    abra::tree::{CHILD_EXIT_TIMEOUT, ProcessTree},
    browser,
    folder::Folder,
    output::keep,
    proc::start_ticks,
};
use crate::{
    model::{
        head::Head,
        host::Host,
        pack::TestName,
        protocol::{Answer, Attachment, Context, HIDDEN, MEMORY, PROTOCOL, is_attachable},
        text::with_causes,
    },
    ports::{Attached, AttachmentError, ChildRegister, Exited, ProgramError, Ran, RunFolder, TestProgram},
    redact::Redact,
};

/// The environment variable that names the context.
pub const CONTEXT: &str = "TASTER_CONTEXT";
/// How that variable begins in an environment.
pub(super) const MARK: &[u8] = b"TASTER_CONTEXT=";
/// How much of the output is kept at least, in bytes: the end of it.
const KEPT: usize = 64 << 10;
/// The largest file of a function that is kept with the results, in bytes.
const LARGEST: u64 = 10 << 20;
/// How much earlier a function is told to end than its process is ended, so that it can still say why.
const HEAD_START: Duration = Duration::from_secs(2);
/// How long what a function left behind may hold its output without a word.
const LINGER: Duration = Duration::from_millis(200);
/// How long it may go on writing to it. Only what has left the tree in every way does, and nothing ends that.
const AFTERWORD: Duration = Duration::from_secs(1);

/// What to start, and what it gets to see. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program and its first arguments; those of libtest follow.
    pub program: Vec<OsString>,
    /// The program that starts others: `taster __child`.
    pub shim: Vec<OsString>,
    /// The run's folder.
    pub folder: Folder,
    /// The host.
    pub host: Host,
    /// `HOME` for the program.
    pub home: PathBuf,
    /// `PATH` for the program.
    pub path: OsString,
    /// The name of the folder in which it runs and leaves its answers, its own among the run's programs.
    pub room: &'static str,
    /// A file with what functions of the pack remembered of the app in another run.
    pub memory: Option<PathBuf>,
}

/// The program of a pack behind the port.
pub struct PackProgram {
    setup: Setup,
    children: Arc<dyn ChildRegister>,
    redact: Arc<Redact>,
    calls: AtomicU32,
}

impl PackProgram {
    /// The program of one run's pack. `children` is told of each process before it may act; `redact` learns the secrets that the
    /// pack makes.
    pub fn new(setup: Setup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        Self { setup, children, redact, calls: AtomicU32::new(0) }
    }

    /// Where the program runs and leaves its answers. It is below what the run claims, and goes with it.
    pub(super) fn room(&self) -> PathBuf {
        self.setup.folder.abra_dir().join(self.setup.room)
    }

    /// Runs the program to its end. Nothing that it started is alive when this returns.
    async fn run(
        &self,
        args: &[&str],
        doing: &str,
        context: Option<&Path>,
        budget: Duration,
    ) -> Result<(Exited, Vec<u8>), ProgramError> {
        let argv = self.setup.program.iter().cloned().chain(args.iter().map(OsString::from)).collect();
        let (home, doing) = (self.setup.home.clone(), doing.to_owned());
        self.launch(Launch { argv, limits: Vec::new(), home, doing, context, input: b"" }, budget).await
    }

    /// What a process printed, without the run's secrets.
    pub(super) fn redacted(&self, raw: &[u8]) -> String {
        self.redact.text(&String::from_utf8_lossy(raw))
    }

    /// Runs a process to its end. Nothing that it started is alive when this returns.
    pub(super) async fn launch(&self, launch: Launch<'_>, budget: Duration) -> Result<(Exited, Vec<u8>), ProgramError> {
        let not_run = |error: io::Error| ProgramError::NotRun { message: error.to_string() };
        let (reader, writer) = io::pipe().map_err(not_run)?;
        let mut output = pipe::Receiver::from_owned_fd(reader.into()).map_err(not_run)?;
        let mut child = self.command(&launch, writer).and_then(|mut command| command.spawn()).map_err(not_run)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let ticks = start_ticks(pid).unwrap_or_default();
        let mark = launch.context.map_or_else(|| self.room(), Path::to_owned);
        let mut tree = KillOnDrop(Some(ProcessTree::new(pid, format!("{CONTEXT}={}", mark.display()))));
        // Until its name is on the disk the child waits; when that fails, dropping it ends it.
        let registered = self.children.started(pid, ticks, &launch.doing).await;
        registered.map_err(|error| ProgramError::NotRun { message: with_causes(&error) })?;
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            stdin.write_all(&[b"go\n", launch.input].concat()).await.map_err(not_run)?;
        }
        drop(stdin);

        let deadline = Instant::now() + budget;
        let (mut raw, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
        let mut open = true;
        let status = loop {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => break None,
                read = output.read(&mut chunk), if open => match read {
                    Ok(count @ 1..) => keep(&mut raw, &chunk[..count], KEPT),
                    Ok(0) | Err(_) => open = false,
                },
                status = child.wait() => break Some(status.map_err(not_run)?),
            }
        };
        let all_ended = tree.kill_all(&mut child).await;
        let until = Instant::now() + AFTERWORD;
        while let Ok(Ok(count @ 1..)) = timeout(LINGER, output.read(&mut chunk)).await {
            keep(&mut raw, &chunk[..count], KEPT);
            if Instant::now() > until {
                break;
            }
        }
        let exited = match status {
            None => {
                let _ = timeout(CHILD_EXIT_TIMEOUT, child.wait()).await;
                Exited::Deadline(budget)
            }
            Some(status) => {
                use std::os::unix::process::ExitStatusExt;
                status.code().map_or(Exited::Signal(status.signal().unwrap_or_default()), Exited::Code)
            }
        };
        // One that cannot be ended stays in the journal, and the sweep tries again.
        if all_ended {
            self.children.ended(pid).await;
        }
        Ok((exited, raw))
    }

    fn command(&self, launch: &Launch<'_>, output: io::PipeWriter) -> io::Result<Command> {
        let room = self.room();
        fs::create_dir_all(&room)?;
        let (shim, words) = self.setup.shim.split_first().ok_or_else(|| io::Error::other("no shim is named"))?;
        let mut command = Command::new(shim);
        command.args(words).arg("--parent").arg(std::process::id().to_string()).args(&launch.limits).arg("--");
        command.args(&launch.argv);
        command.env_clear().env("PATH", &self.setup.path).env("HOME", &launch.home).env("LC_ALL", "C.UTF-8");
        // The variable also ties the process, and what it starts, to the run: the context lies in the run's folder.
        command.env(CONTEXT, launch.context.unwrap_or(&room)).env("RUST_BACKTRACE", "0");
        command.current_dir(&room).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }

    /// Writes what the function is told about the app. The answer of an earlier call under the same number is not mistaken for its
    /// own, for there is none.
    fn context(&self, number: u32, head: &Head, budget: Duration) -> io::Result<(PathBuf, Context)> {
        let room = self.room();
        fs::create_dir_all(&room)?;
        let own = room.join(MEMORY);
        if let Some(memory) = self.setup.memory.as_ref().filter(|memory| memory.is_file() && !own.exists()) {
            fs::copy(memory, own)?;
        }
        let host = &self.setup.host;
        let context = Context {
            version: PROTOCOL,
            recipe: head.recipe.clone(),
            run: self.setup.folder.run().clone(),
            domain: head.domain.clone(),
            stack: head.stack.clone(),
            zone: host.zone.clone(),
            ingress: host.ingress,
            ca: host.ca.clone(),
            engine: host.engine.clone(),
            browser: browser::find(&self.setup.path),
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            answer: room.join(format!("{number:03}-answer.json")),
            room: room.clone(),
        };
        let file = room.join(format!("{number:03}-context.json"));
        fs::write(&file, serde_json::to_vec(&context)?)?;
        Ok((file, context))
    }

    /// Learns the secrets that functions made or read, also those of one that came to no answer.
    fn learn(&self) {
        for entry in fs::read_dir(self.room()).into_iter().flatten().flatten() {
            let hidden = entry.file_name().to_string_lossy().starts_with(HIDDEN);
            if let Some(value) = hidden.then(|| fs::read_to_string(entry.path()).ok()).flatten() {
                self.redact.learn(&value);
            }
        }
    }

    /// The answer, when there is one that can be read.
    fn answer(context: &Context) -> Option<Answer> {
        let text = fs::read(&context.answer).ok()?;
        let answer: Answer = serde_json::from_slice(&text).ok()?;
        (answer.version == PROTOCOL).then_some(answer)
    }
}

#[async_trait]
impl TestProgram for PackProgram {
    async fn list(&self, budget: Duration) -> Result<BTreeSet<TestName>, ProgramError> {
        let (exited, raw) = self.run(&["--list", "--format", "terse"], "pack, list of tests", None, budget).await?;
        let text = String::from_utf8_lossy(&raw).into_owned();
        match exited {
            Exited::Code(0) => Ok(listed(&text)),
            other => {
                let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
                let message = format!("{}: {}", told(other), self.redact.text(last));
                Err(ProgramError::Unlisted { message })
            }
        }
    }

    async fn run_one(&self, test: &TestName, head: &Head, budget: Duration) -> Result<Ran, ProgramError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let own = budget.saturating_sub(HEAD_START).max(budget / 2);
        let not_run = |error: io::Error| ProgramError::NotRun { message: error.to_string() };
        let (file, context) = self.context(number, head, own).map_err(not_run)?;
        let args = [test.as_str(), "--exact", "--test-threads", "1", "--color", "never"];
        let (exited, raw) = self.run(&args, &format!("{}, {test}", self.setup.room), Some(&file), budget).await?;
        self.learn();
        let answer = Self::answer(&context);
        let attachments =
            answer.iter().flat_map(|answer| &answer.attachments).map(|file| attached(&context.room, file)).collect();
        let output = self.redact.text(&String::from_utf8_lossy(&raw));
        Ok(Ran { exited, answer, output, attachments })
    }
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
    /// The file that tells it about the app.
    pub(super) context: Option<&'a Path>,
    /// What stands on its standard input.
    pub(super) input: &'a [u8],
}

/// The tree of a process that is to end. It does so when this is dropped, too, for a call that is given up half-way must not go
/// on acting.
struct KillOnDrop(Option<ProcessTree>);

impl KillOnDrop {
    /// Kills until nobody is left. Says whether nobody is.
    async fn kill_all(&mut self, child: &mut Process) -> bool {
        match self.0.take() {
            Some(mut tree) => tree.kill_all(|| drop(child.try_wait())).await,
            None => true,
        }
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(tree) = &mut self.0 {
            tree.kill_all_blocking();
        }
    }
}

/// How a process ended, in words.
fn told(exited: Exited) -> String {
    match exited {
        Exited::Code(code) => format!("it ended with exit code {code}"),
        Exited::Signal(signal) => format!("it was ended by signal {signal}"),
        Exited::Deadline(after) => format!("it did not end within {}", crate::model::time::format_duration(after)),
    }
}

/// A file that a function left for the results, when it is a plain one in its room: it may say anything.
fn attached(room: &Path, left: &Attachment) -> Attached {
    let read = || {
        if !is_attachable(&left.name) || left.file.parent() != Some(room) {
            return Err(AttachmentError::Misplaced);
        }
        let unreadable = |error: io::Error| AttachmentError::Unreadable { message: error.to_string() };
        let kind = fs::symlink_metadata(&left.file).map_err(unreadable)?;
        match kind.is_file() && kind.len() <= LARGEST {
            true => fs::read(&left.file).map_err(unreadable),
            false => Err(AttachmentError::Unfit { most_mib: LARGEST >> 20 }),
        }
    };
    Attached { name: left.name.clone(), bytes: read() }
}

/// The names of the tests in what `--list --format terse` prints. Other lines are the program's own words.
fn listed(text: &str) -> BTreeSet<TestName> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(TestName::reported).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::no_child_register::NoChildRegister;

    #[test]
    fn only_a_plain_file_in_the_room_is_kept() {
        let outside = tempfile::tempdir().unwrap();
        let room = outside.path().join("room");
        fs::create_dir(&room).unwrap();
        for file in [outside.path().join("passwd"), room.join("page.html")] {
            fs::write(file, "text").unwrap();
        }
        std::os::unix::fs::symlink(outside.path().join("passwd"), room.join("link")).unwrap();
        for (name, file, kept) in [
            ("page.html", room.join("page.html"), true),
            ("../page.html", room.join("page.html"), false),
            ("page.html", room.join("../passwd"), false),
            ("page.html", outside.path().join("passwd"), false),
            ("page.html", room.join("link"), false),
            ("page.html", room.join("nothing"), false),
        ] {
            let attached = attached(&room, &Attachment { name: name.into(), file: file.clone() });
            assert_eq!(attached.bytes.is_ok(), kept, "{name} {}: {attached:?}", file.display());
        }
    }

    #[tokio::test]
    async fn what_got_away_and_goes_on_writing_does_not_hold_the_run() {
        const SHIM: &str = "while [ \"$1\" != -- ]; do shift; done; shift; read go; exec \"$@\"";
        // Another session, nothing in its environment and no parent: it ends by itself when nobody reads any more.
        const PROGRAM: &str = "env -i setsid sh -c 'while echo word; do >away; sleep 0.02; done' & \
                               until [ -e away ]; do sleep 0.02; done; echo 'it is listed: test'";
        let state = tempfile::tempdir().unwrap();
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let setup = Setup {
            program: words(&["sh", "-c", PROGRAM, "program"]),
            shim: words(&["sh", "-c", SHIM, "shim"]),
            folder: Folder::of(state.path(), &"20261121-101502-k3v7q2m7".parse().unwrap()),
            host: Host::parse("zone = \"taster.test\"").unwrap(),
            home: state.path().to_owned(),
            path: "/usr/local/bin:/usr/bin:/bin".into(),
            room: "pack",
            memory: None,
        };
        let program = PackProgram::new(setup, Arc::new(NoChildRegister), Arc::new(Redact::new()));
        let names = timeout(Duration::from_secs(60), program.list(Duration::from_secs(30))).await.unwrap().unwrap();
        assert_eq!(names.iter().map(TestName::as_str).collect::<Vec<_>>(), ["it is listed"]);
    }

    #[test]
    fn a_list_is_read_line_by_line() {
        let names = listed("posts::a: b: test\ncanary::x::plant: test\nsome::bench: benchmark\n\nwarning: nothing\n");
        assert_eq!(names.iter().map(TestName::as_str).collect::<Vec<_>>(), ["canary::x::plant", "posts::a: b"]);
    }
}
