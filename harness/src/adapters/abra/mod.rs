//! abra on a terminal of its own. It is an actuator: an exit code, a fatal line and a few parsers are all that is taken
//! from it.

mod archive;
mod argv;
mod classify;
pub(super) mod tree;
mod screen;
pub mod terminal;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;

pub use classify::{Ended, classify};
pub use screen::screen_text;

use super::proc::start_ticks;
use crate::{
    model::text::with_causes,
    ports::{Abra, AbraError, Call, ChildRegister, Exchange, abra_output},
    pure::host::claim::Claim,
    redact::Redact,
};
use terminal::{Seen, Start};

/// The environment variable that marks abra and all that it starts.
const MARK: &str = "TASTER_CALL";
/// What the shim exits with when it cannot start the program.
const NOT_STARTED: i32 = 127;
/// How the shim's own lines begin.
const SHIM_SAYS: &str = "taster: ";

/// Where abra is and what it gets to see. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program; a bare name is looked up in `path`.
    pub abra: PathBuf,
    /// The program that starts others, and the words that make it do so: `taster __child`. It is given
    /// `--parent <pid> -- <program> <arguments>`, reads one line from its terminal, and becomes the program.
    pub shim: Vec<OsString>,
    /// The run's own `ABRA_DIR`.
    pub abra_dir: PathBuf,
    /// abra's name for the server; its folder is made in `abra_dir`.
    pub server: String,
    /// An empty folder to run in, for abra looks for its settings from there upwards.
    pub cwd: PathBuf,
    /// The folder that transcripts are kept in.
    pub transcripts: PathBuf,
    /// `HOME` for abra.
    pub home: PathBuf,
    /// `PATH` for abra.
    pub path: OsString,
    /// The silence after which a line that looks like a question is taken for one.
    pub quiet: Duration,
}

impl Setup {
    /// The silence that is taken for waiting: longer than any pause of abra's own within a line.
    pub const QUIET: Duration = Duration::from_secs(3);
}

/// abra behind the port.
pub struct PtyAbra {
    setup: Setup,
    children: Arc<dyn ChildRegister>,
    redact: Arc<Redact>,
    calls: AtomicU32,
}

impl PtyAbra {
    /// The abra of one run. `children` is told of each process before it may act; `redact` learns the secrets that abra makes.
    pub fn new(setup: Setup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        Self { setup, children, redact, calls: AtomicU32::new(0) }
    }

    /// The folders that abra expects to find. A call with an `ABRA_DIR` of its own reads the same catalogue.
    fn prepare(&self, call: &Call) -> std::io::Result<()> {
        let Setup { abra_dir: main, cwd, transcripts, server, .. } = &self.setup;
        let abra_dir = self.abra_dir(call);
        let folders = [abra_dir.join("servers").join(server), abra_dir.join("recipes"), cwd.clone(), transcripts.clone()];
        folders.iter().try_for_each(std::fs::create_dir_all)?;
        let (catalogue, link) = (main.join("catalogue"), abra_dir.join("catalogue"));
        if catalogue.is_dir() && !link.exists() {
            std::os::unix::fs::symlink(catalogue, link)?;
        }
        Ok(())
    }

    /// The `ABRA_DIR` of a call: the run's, unless the call has one of its own.
    fn abra_dir<'a>(&'a self, call: &'a Call) -> &'a Path {
        match call {
            Call::Lint { abra_dir, .. } => abra_dir,
            _ => &self.setup.abra_dir,
        }
    }

    fn environment(&self, call: &Call) -> BTreeMap<&'static str, OsString> {
        let Setup { home, path, .. } = &self.setup;
        // DOCKER_HOST, DOCKER_CONTEXT, EDITOR and LANGUAGE are left out on purpose: each changes what abra does or says.
        BTreeMap::from([
            ("HOME", home.into()),
            ("PATH", path.clone()),
            ("ABRA_DIR", self.abra_dir(call).into()),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("NO_COLOR", "1".into()),
            ("SHELL", "/bin/sh".into()),
        ])
    }

    async fn run(&self, call: &Call, program: &Path, budget: Duration) -> Result<(Seen, Duration), AbraError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let name = argv::name(call);
        let not_run = |message: String| AbraError::NotRun { call: name.to_owned(), message };
        self.prepare(call).map_err(|error| not_run(error.to_string()))?;

        let own = std::process::id();
        let mut words = self.setup.shim.clone();
        words.extend(["--parent".into(), own.to_string().into(), "--".into(), program.into()]);
        words.extend(argv::argv(call).into_iter().map(OsString::from));
        let mark = (MARK, unique_mark());
        let started = Instant::now();
        let start = Start { argv: words, env: self.environment(call), cwd: self.setup.cwd.clone(), mark };
        let running = terminal::start(start).map_err(|error| not_run(error.to_string()))?;

        let pid = running.pid;
        let doing = format!("abra {name}");
        // Until its name is on the disk the child waits; when that fails, dropping it ends it.
        let registered = self.children.started(pid, running.start_ticks, &doing).await;
        registered.map_err(|error| not_run(with_causes(&error)))?;
        let seen = running.go(budget, self.setup.quiet).await.map_err(|error| not_run(error.to_string()))?;
        // One that cannot be ended stays in the journal, and the sweep tries again.
        if seen.all_ended {
            self.children.ended(pid).await;
        }
        let took = started.elapsed();
        self.learn(call, &seen.raw);
        self.keep(number, call, &seen, took);
        Ok((seen, took))
    }

    /// Secrets are learnt also from a call that failed after it had made some.
    fn learn(&self, call: &Call, raw: &[u8]) {
        if let Call::SecretGenerate { .. } = call {
            let exchange = Exchange { text: screen_text(raw), raw: Vec::new(), took: Duration::ZERO };
            for secret in abra_output::secrets(&exchange).unwrap_or_default() {
                self.redact.learn_as(&secret.name, &secret.value);
            }
            if abra_output::masked(&exchange).is_some() {
                self.redact.doubt("abra made secrets in a way that cannot be read, so they are not known and cannot be hidden");
            }
        }
    }

    /// What a call printed, without its secrets, and without what may be secrets that could not be read.
    fn hidden(&self, call: &Call, printed: &[u8]) -> String {
        let masked = match call {
            Call::SecretGenerate { .. } => {
                abra_output::masked(&Exchange { text: screen_text(printed), raw: Vec::new(), took: Duration::ZERO })
            }
            Call::Version
            | Call::Fetch { .. }
            | Call::Lint { .. }
            | Call::New { .. }
            | Call::SecretInsert { .. }
            | Call::Deploy { .. }
            | Call::Command { .. }
            | Call::BackupCreate { .. }
            | Call::BackupSnapshots { .. }
            | Call::BackupList { .. }
            | Call::BackupDownload { .. }
            | Call::Restore { .. }
            | Call::Undeploy { .. } => None,
        };
        masked.map_or_else(|| self.redact.text(&String::from_utf8_lossy(printed)), |text| self.redact.text(&text))
    }

    /// Keeps what was printed, without its secrets. A transcript that cannot be written changes nothing about the call.
    fn keep(&self, number: u32, call: &Call, seen: &Seen, took: Duration) {
        let name = format!("{number:03}-{}.txt", argv::name(call));
        let typed = self.redact.text(&argv::argv(call).join(" "));
        let text = format!("$ abra {typed}\n{}\n# {:?} after {took:.1?}\n", self.hidden(call, &seen.raw), seen.ended);
        let _ = std::fs::write(self.setup.transcripts.join(name), text);
    }
}

#[async_trait]
impl Abra for PtyAbra {
    async fn call(&self, call: &Call, claim: Option<&Claim>, budget: Duration) -> Result<Exchange, AbraError> {
        if !argv::covered(call, claim, &self.setup.abra_dir) {
            let message = "no claim covers it".to_owned();
            return Err(AbraError::NotRun { call: argv::name(call).to_owned(), message });
        }
        let program = find(&self.setup.abra, &self.setup.path)?;
        let (seen, took) = self.run(call, &program, budget).await?;
        // Parsers read what a call printed that went well; of another one, words are quoted, and quotes are cut.
        let raw = if seen.ended == Ended::Exit(0) { seen.raw } else { self.hidden(call, &seen.raw).into_bytes() };
        let exchange = Exchange { text: screen_text(&raw), raw, took };
        match (seen.ended, exchange.text.lines().last().and_then(|line| line.strip_prefix(SHIM_SAYS))) {
            (Ended::Exit(NOT_STARTED), Some(message)) => {
                Err(AbraError::Absent { path: program.display().to_string(), message: message.to_owned() })
            }
            (ended, _) => {
                let exchange = classify(ended, exchange)?;
                // Secrets that nobody knows could not be hidden in anything that comes later.
                if let Call::SecretGenerate { .. } = call {
                    abra_output::secrets(&exchange)?;
                }
                Ok(exchange)
            }
        }
    }

    async fn downloaded(&self, path: &str) -> Result<Option<u64>, AbraError> {
        let (file, path) = (self.setup.cwd.join(archive::FILE), path.to_owned());
        // It may hold gigabytes, and a signal has to be heard meanwhile.
        let size = tokio::task::spawn_blocking(move || {
            let size = archive::size(&file, &path);
            let _ = std::fs::remove_file(&file);
            size
        });
        let unreadable = |message: String| AbraError::Unreadable { call: "app-backup-download".into(), message };
        size.await.map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))
    }
}

/// A text that no other call of any process on the machine has: by it, processes are known as this call's and killed.
fn unique_mark() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id();
    let started = i32::try_from(own).ok().and_then(start_ticks).unwrap_or_default();
    format!("{own}-{started}-{}", CALLS.fetch_add(1, Ordering::Relaxed))
}

/// Where the program is. Looked at before it is started, because a program that cannot be executed dies by a signal that
/// tells nothing.
fn find(program: &Path, path: &OsString) -> Result<PathBuf, AbraError> {
    let absent = |message: &str| AbraError::Absent { path: program.display().to_string(), message: message.to_owned() };
    let runs = |file: &Path| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 {
        return match (runs(program), program.exists()) {
            (true, _) => Ok(program.to_owned()),
            (false, true) => Err(absent("it is no executable file")),
            (false, false) => Err(absent("there is no such file")),
        };
    }
    let mut found = std::env::split_paths(path).map(|folder| folder.join(program));
    found.find(|file| runs(file)).ok_or_else(|| absent("it is not in PATH"))
}
