//! abra on a terminal. A run takes only an exit code, a fatal line and a few parsed outputs from it.

mod archive;
mod argv;
mod classify;
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
    model::text::{plain, with_causes},
    ports::{Abra, AbraError, Call, ChildRegister, Exchange, abra_output},
    pure::host::claim::Claim,
    redact::Redact,
};
use terminal::{Finished, Start};

/// The environment variable that marks abra and all that it starts.
const MARK: &str = "TASTER_CALL";
/// The exit code of a shim that cannot start the program.
const NOT_STARTED: i32 = 127;
/// The prefix of the shim's own lines.
const SHIM_PREFIX: &str = "taster: ";

/// Where abra is, and its environment. All paths are absolute.
#[derive(Debug, Clone)]
pub struct AbraSetup {
    /// The program; a bare name is looked up in `path`.
    pub abra: PathBuf,
    /// The shim that starts the program: `taster __child`. It takes `--parent <pid> -- <program> <arguments>`, reads one line
    /// from its terminal, and becomes the program.
    pub shim: Vec<OsString>,
    /// The run's own `ABRA_DIR`.
    pub abra_dir: PathBuf,
    /// abra's name for the server; its folder is created in `abra_dir`.
    pub server: String,
    /// The working folder. It is empty, because abra looks for its settings from there upwards.
    pub cwd: PathBuf,
    /// The folder for transcripts.
    pub transcripts: PathBuf,
    /// `HOME` for abra.
    pub home: PathBuf,
    /// `PATH` for abra.
    pub path: OsString,
    /// The silence after which a line that looks like a question is one.
    pub quiet: Duration,
}

impl AbraSetup {
    /// The silence that counts as waiting. It is longer than any pause of abra within a line.
    pub const QUIET: Duration = Duration::from_secs(3);
}

/// abra behind the port.
pub struct PtyAbra {
    setup: AbraSetup,
    children: Arc<dyn ChildRegister>,
    redact: Arc<Redact>,
    calls: AtomicU32,
}

impl PtyAbra {
    /// The abra of one run. `children` registers each process before it acts; `redact` learns the secrets that abra generates.
    pub fn new(setup: AbraSetup, children: Arc<dyn ChildRegister>, redact: Arc<Redact>) -> Self {
        Self { setup, children, redact, calls: AtomicU32::new(0) }
    }

    /// Creates the folders that abra expects. A call with another `ABRA_DIR` reads the same catalogue.
    fn prepare(&self, call: &Call) -> std::io::Result<()> {
        let AbraSetup { abra_dir: main, cwd, transcripts, server, .. } = &self.setup;
        let abra_dir = self.abra_dir(call);
        let folders =
            [abra_dir.join("servers").join(server), abra_dir.join("recipes"), cwd.clone(), transcripts.clone(), self.temporary()];
        folders.iter().try_for_each(std::fs::create_dir_all)?;
        let (catalogue, link) = (main.join("catalogue"), abra_dir.join("catalogue"));
        if catalogue.is_dir() && !link.exists() {
            std::os::unix::fs::symlink(catalogue, link)?;
        }
        Ok(())
    }

    /// The `ABRA_DIR` of a call: that of the run, unless the call names another.
    fn abra_dir<'a>(&'a self, call: &'a Call) -> &'a Path {
        match call {
            Call::Lint { abra_dir, .. } => abra_dir,
            _ => &self.setup.abra_dir,
        }
    }

    /// The folder for temporary files of abra and all that it starts. It is removed with the run, also when they are killed.
    fn temporary(&self) -> PathBuf {
        self.setup.abra_dir.join("tmp")
    }

    fn environment(&self, call: &Call) -> BTreeMap<&'static str, OsString> {
        let AbraSetup { home, path, .. } = &self.setup;
        // DOCKER_HOST, DOCKER_CONTEXT, EDITOR and LANGUAGE are left out on purpose: each changes what abra does or prints.
        BTreeMap::from([
            ("HOME", home.into()),
            ("PATH", path.clone()),
            ("ABRA_DIR", self.abra_dir(call).into()),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("TMPDIR", self.temporary().into()),
            ("NO_COLOR", "1".into()),
            ("SHELL", "/bin/sh".into()),
        ])
    }

    async fn run(&self, call: &Call, program: &Path, budget: Duration) -> Result<(Finished, Duration), AbraError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let name = argv::name(call);
        let not_run = |message: String| AbraError::NotRun { call: name.to_owned(), message };
        self.prepare(call).map_err(|error| not_run(error.to_string()))?;

        let own = std::process::id();
        let mut argv = self.setup.shim.clone();
        argv.extend(["--parent".into(), own.to_string().into(), "--".into(), program.into()]);
        argv.extend(argv::argv(call).into_iter().map(OsString::from));
        let mark = (MARK, unique_mark());
        let started = Instant::now();
        let start = Start { argv, env: self.environment(call), cwd: self.setup.cwd.clone(), mark };
        let running = terminal::start(start).map_err(|error| not_run(error.to_string()))?;

        let pid = running.pid;
        let doing = format!("abra {name}");
        // The child waits until it is registered. Without registration, dropping it ends it.
        let registered = self.children.started(pid, running.start_ticks, &doing).await;
        registered.map_err(|error| not_run(with_causes(&error)))?;
        let finished = running.run(budget, self.setup.quiet).await.map_err(|error| not_run(error.to_string()))?;
        // A process that cannot be ended stays registered, and cleanup tries again.
        if finished.all_ended {
            self.children.ended(pid).await;
        }
        let took = started.elapsed();
        self.learn(call, &finished.raw);
        self.write_transcript(number, call, &finished, took);
        Ok((finished, took))
    }

    /// Learns the secrets that a call generated, also from a call that failed later.
    fn learn(&self, call: &Call, raw: &[u8]) {
        if let Call::SecretGenerate { .. } = call {
            let exchange = Exchange { text: screen_text(raw), raw: Vec::new(), took: Duration::ZERO };
            for secret in abra_output::secrets(&exchange).unwrap_or_default() {
                self.redact.learn_as(&secret.name, &secret.value);
            }
            if abra_output::masked(&exchange).is_some() {
                self.redact.doubt("abra printed generated secrets in an unknown form, so they cannot be hidden");
            }
        }
    }

    /// The output of a call, without its secrets and without lines that may hold secrets in an unknown form.
    fn redacted(&self, call: &Call, printed: &[u8]) -> String {
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

    /// Writes the redacted output to a file. A transcript that cannot be written does not change the result of the call.
    fn write_transcript(&self, number: u32, call: &Call, finished: &Finished, took: Duration) {
        let name = format!("{number:03}-{}.txt", argv::name(call));
        let args = self.redact.text(&argv::argv(call).join(" "));
        let printed = plain(&self.redacted(call, &finished.raw));
        let text = format!("$ abra {args}\n{printed}\n# {:?} after {took:.1?}\n", finished.ended);
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
        let (finished, took) = self.run(call, &program, budget).await?;
        // Parsers need the raw output of a call that succeeded. Errors quote and cut the output of any other call.
        let raw = if finished.ended == Ended::Exit(0) { finished.raw } else { self.redacted(call, &finished.raw).into_bytes() };
        let exchange = Exchange { text: screen_text(&raw), raw, took };
        match (finished.ended, exchange.text.lines().last().and_then(|line| line.strip_prefix(SHIM_PREFIX))) {
            (Ended::Exit(NOT_STARTED), Some(message)) => {
                Err(AbraError::Absent { path: program.display().to_string(), message: message.to_owned() })
            }
            (ended, _) => {
                let exchange = classify(ended, exchange)?;
                // A run with unknown secrets could not hide them in later output.
                if let Call::SecretGenerate { .. } = call {
                    abra_output::secrets(&exchange)?;
                }
                Ok(exchange)
            }
        }
    }

    async fn downloaded(&self, path: &str) -> Result<Option<u64>, AbraError> {
        let (file, path) = (self.setup.cwd.join(archive::FILE), path.to_owned());
        // It may hold gigabytes, and the runtime has to handle signals meanwhile.
        let size = tokio::task::spawn_blocking(move || {
            let size = archive::size(&file, &path);
            let _ = std::fs::remove_file(&file);
            size
        });
        let unreadable = |message: String| AbraError::Unreadable { call: "app-backup-download".into(), message };
        size.await.map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))
    }
}

/// A mark that no other call of any process on the machine has. It identifies the processes of this call, which are killed by it.
fn unique_mark() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id();
    let started = i32::try_from(own).ok().and_then(start_ticks).unwrap_or_default();
    format!("{own}-{started}-{}", CALLS.fetch_add(1, Ordering::Relaxed))
}

/// The path of the program. The check comes before the start, because a program that cannot be executed dies by a signal that
/// gives no reason.
fn find(program: &Path, path: &OsString) -> Result<PathBuf, AbraError> {
    let absent = |message: &str| AbraError::Absent { path: program.display().to_string(), message: message.to_owned() };
    let is_executable = |file: &Path| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 {
        return match (is_executable(program), program.exists()) {
            (true, _) => Ok(program.to_owned()),
            (false, true) => Err(absent("it is not executable")),
            (false, false) => Err(absent("the file does not exist")),
        };
    }
    let mut found = std::env::split_paths(path).map(|folder| folder.join(program));
    found.find(|file| is_executable(file)).ok_or_else(|| absent("it is not in PATH"))
}
