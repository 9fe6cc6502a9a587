//! A whole run of taster as somebody starts it, and what it tells.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use harness::model::{names::RunId, request::DEFAULT_DEADLINE};
use serde_json::Value;

use crate::{
    engine::{printed, until},
    sandbox_fixture::SandboxFixture,
};

/// The longest that a command of a test may take: a run's own deadline and time to clean up after it. It is for runs that miss theirs.
const LONGEST: Duration = DEFAULT_DEADLINE.saturating_add(Duration::from_secs(600));

/// A folder for the runs of one test.
#[derive(Debug)]
pub struct TestEnv<'a> {
    /// The sandbox.
    pub fixture: &'a SandboxFixture,
    dir: tempfile::TempDir,
}

/// A test that fails half-way, or keeps an app, must not take the only knowledge of it away with its folder.
impl Drop for TestEnv<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.end_what_lives();
        }
        for run in self.runs() {
            let settled = harness::journal::settled(&run).unwrap_or(true);
            let name = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !settled {
                let _ = self.taster(&["janitor", &name]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            }
        }
    }
}

/// What a run told, once its process has ended.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code; `None` after a signal.
    pub exit: Option<i32>,
    /// What stood on standard output.
    pub out: String,
    /// What stood on standard error.
    pub err: String,
}

impl<'a> TestEnv<'a> {
    /// An empty one.
    ///
    /// # Panics
    /// If there is no temporary folder.
    pub fn new(fixture: &'a SandboxFixture) -> Self {
        Self { fixture, dir: tempfile::tempdir().unwrap() }
    }

    /// The folder for whatever the test needs.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// taster with `args`, its runs on this env.
    pub fn taster(&self, args: &[&str]) -> Command {
        let mut taster = self.fixture.taster(self.path());
        taster.args(args);
        taster
    }

    /// Gives a command that comes to start taster the environment and the folder in which taster is started on this env.
    pub fn equip<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let taster = self.taster(&[]);
        let envs = taster.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(envs).current_dir(self.path()).stdin(Stdio::null())
    }

    /// A copy of the sandbox's recipe, in the folder `mine` of the env.
    ///
    /// # Panics
    /// If git fails.
    pub fn copy_of(&self, recipe: &str) -> PathBuf {
        let copy = self.path().join("mine");
        self.clone_to(recipe, &copy);
        copy
    }

    /// Clones the sandbox's recipe into a folder that is not there yet.
    ///
    /// # Panics
    /// If git fails.
    pub fn clone_to(&self, recipe: &str, folder: &Path) {
        let from = self.fixture.sandbox().join("recipes").join(recipe);
        printed(Command::new("git").args(["clone", "--quiet"]).arg(from).arg(folder), &["git", "clone", recipe]);
    }

    /// Starts taster with `args`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(&self, args: &[&str]) -> Child {
        started(&mut self.taster(args))
    }

    /// taster with `args`, to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::after(self.start(args))
    }

    /// taster with `args` and the host file with its lines for the keys of `changed` replaced, to its end.
    ///
    /// # Panics
    /// If the host file cannot be read or written.
    pub fn run_on(&self, changed: &[(&str, &str)], args: &[&str]) -> CommandOutput {
        CommandOutput::after(self.start_on(changed, args))
    }

    /// Starts taster with `args` and the host file with its lines for the keys of `changed` replaced.
    ///
    /// # Panics
    /// If it cannot be started, or the host file cannot be read or written.
    pub fn start_on(&self, changed: &[(&str, &str)], args: &[&str]) -> Child {
        let file = self.host_file(changed);
        self.start(&[&["--host", &file.display().to_string()], args].concat())
    }

    /// A recipe of one's own, in a folder of its name, with these texts and an `abra.sh` that does nothing.
    ///
    /// # Panics
    /// If it is there already or cannot be written.
    pub fn recipe(&self, name: &str, compose: &str, sample: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir(&folder).unwrap();
        for (file, text) in [("compose.yml", compose), (".env.sample", sample), ("abra.sh", "#!/bin/bash\n")] {
            fs::write(folder.join(file), text).unwrap();
        }
        folder
    }

    /// The sandbox's host file with its lines for the keys of `changed` replaced.
    ///
    /// # Panics
    /// If it cannot be read or written.
    pub fn host_file(&self, changed: &[(&str, &str)]) -> PathBuf {
        let mut text = fs::read_to_string(&self.fixture.host_file).unwrap();
        for (key, value) in changed {
            let begins = format!("{key} = ");
            let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with(&begins)).collect();
            text = format!("{}\n{key} = {value:?}\n", kept.join("\n"));
        }
        let file = self.path().join("host.toml");
        fs::write(&file, text).unwrap();
        file
    }

    /// A script in the place of abra; `$ABRA` in it is the sandbox's.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn script(&self, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path().join("abra");
        let abra = self.fixture.sandbox().join("bin/abra");
        fs::write(&path, format!("#!/bin/sh\nABRA='{}'\n{text}\n", abra.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// What a page of a host says through the ingress, with its status and headers.
    ///
    /// # Panics
    /// If it cannot be asked.
    pub fn page(&self, domain: &str, page: &str) -> String {
        let ca = self.fixture.ca().display().to_string();
        let (resolve, url) = (format!("{domain}:443:127.0.0.1"), format!("https://{domain}{page}"));
        let args = ["-sS", "-i", "--max-time", "10", "--cacert", &ca, "--resolve", &resolve, &url];
        printed(Command::new("curl").args(args), &["curl", &url])
    }

    /// The folders of the runs, oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("taster/runs")).into_iter().flatten().flatten();
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        runs.sort();
        runs
    }

    /// The folder of the only run.
    ///
    /// # Panics
    /// If there is none, or more than one.
    pub fn only_run(&self) -> PathBuf {
        let mut runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// Waits until the only run's journal has `text` in it.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn reached(&self, text: &str) {
        until(&format!("the journal says {text}"), || self.runs().iter().any(|run| journal(run).contains(text)));
    }

    /// The guardians of the runs on this env, by their process ids.
    pub fn guardians(&self) -> Vec<u32> {
        let place = self.path().display().to_string();
        let guards = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("\0__guardian\0") && line.contains(&place)
        };
        processes().filter(guards).collect()
    }

    /// Ends what was started on this env and goes on, as somebody would who wants it swept: a run that lives is no janitor's.
    fn end_what_lives(&self) {
        let place = format!("XDG_STATE_HOME={}", self.path().display());
        let living = || {
            // A guardian has nothing to end early: it ends with what it guards.
            let guardians = self.guardians();
            let lives = |pid: &u32| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ.split(|byte| *byte == 0).any(|entry| entry == place.as_bytes()) && !guardians.contains(pid)
            };
            processes().filter(lives).collect::<Vec<u32>>()
        };
        for pid in living() {
            // One that has ended just now is as good.
            let _ = Command::new("kill").args(["-s", "TERM", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let over = Instant::now() + Duration::from_secs(120);
        while !living().is_empty() && Instant::now() < over {
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills a run and its guardian, so that nobody sweeps after it.
    ///
    /// # Panics
    /// If the run has no guardian.
    pub fn kill_with_guardian(&self, run: &mut Child) {
        // A run that is stopped does not start another one.
        signal(run.id(), "STOP");
        let guardians = self.guardians();
        assert!(!guardians.is_empty(), "the run has a guardian");
        guardians.into_iter().for_each(|guardian| signal(guardian, "KILL"));
        // `kill` of the standard library is SIGKILL.
        run.kill().unwrap();
        run.wait().unwrap();
    }

    /// The results of the only run.
    ///
    /// # Panics
    /// If there is not exactly one run with results that can be read.
    pub fn results(&self) -> Value {
        results(&self.only_run())
    }

    /// That nothing of any run on this env is left: on the Swarm by the word of `zero.sh`, in its folder, in its journal.
    ///
    /// # Panics
    /// If something is.
    pub fn assert_zero(&self) {
        for run in self.runs() {
            let id = run_id(&run);
            for line in journal(&run).lines() {
                let event: Value = serde_json::from_str(line).unwrap();
                if event["what"]["claimed"] == "stack" {
                    let stack = event["what"]["name"].as_str().unwrap();
                    assert!(stack.contains(id.token()), "{stack} bears the run's token");
                    assert_eq!(self.fixture.engine.left_of(stack, &[]), "");
                }
            }
            let marker = format!("taster-{id}");
            assert!(!self.fixture.engine.ok(&["config", "inspect", &marker]), "{marker} is gone");
            assert!(!run.join("abra").exists(), "ABRA_DIR is gone");
            let read = harness::journal::read(&run).unwrap();
            assert!(read.settled() && read.unread.is_empty(), "the journal is whole and settled: {read:?}");
        }
    }
}

impl CommandOutput {
    /// What `child` told, once it has ended.
    ///
    /// # Panics
    /// If it had to be killed, because it did not end within [`LONGEST`].
    pub fn after(child: Child) -> Self {
        Self::within(child, LONGEST)
    }

    /// What `child` told, once it has ended, for which it has `patience`.
    ///
    /// # Panics
    /// If it had to be killed, because it did not end within that.
    pub fn within(child: Child, patience: Duration) -> Self {
        // Its outputs are read all the while: a process whose words nobody takes stops at the size of a pipe.
        let pid = child.id();
        let (tell, told) = channel();
        thread::spawn(move || tell.send(child.wait_with_output()));
        if let Ok(output) = told.recv_timeout(patience) {
            return Self::of(output.unwrap());
        }
        // It may have ended just now; then there is nothing to kill.
        let _ = Command::new("kill").args(["-s", "KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        match told.recv_timeout(Duration::from_secs(10)) {
            Ok(output) => panic!("it did not end within {patience:?}:\n{}", Self::of(output.unwrap())),
            Err(_) => panic!("it did not end within {patience:?}, and something that it started holds its outputs"),
        }
    }

    fn of(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { exit: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// That the run ended with this code, and that it told `texts`, on whichever of its two outputs.
    ///
    /// # Panics
    /// If not.
    pub fn assert(&self, exit: i32, texts: &[&str]) {
        assert_eq!(self.exit, Some(exit), "{self}");
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "nothing says {text:?}:\n{self}");
        }
    }
}

impl std::fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n{}\n{}", self.exit, self.err, self.out)
    }
}

/// The ids of all processes of the machine.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

/// Starts a command with its outputs kept.
///
/// # Panics
/// If it cannot be started.
pub fn started(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal by its name, such as `TERM`.
///
/// # Panics
/// If there is no such process.
pub fn signal(pid: u32, name: &str) {
    printed(Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]), &["kill", name]);
}

/// The id of the run whose folder this is.
///
/// # Panics
/// If it is the folder of no run.
pub fn run_id(run: &Path) -> RunId {
    run.file_name().unwrap().to_string_lossy().parse().unwrap()
}

/// The text of a run's journal; empty as long as there is none.
pub fn journal(run: &Path) -> String {
    fs::read_to_string(run.join("events.jsonl")).unwrap_or_default()
}

/// A run's results.
///
/// # Panics
/// If they cannot be read.
pub fn results(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("results.json")).unwrap()).unwrap()
}

/// The time between two events of a journal, by the first lines that have these texts.
///
/// # Panics
/// If one of them is not there.
pub fn between(journal: &str, from: &str, to: &str) -> Duration {
    let at = |text: &str| {
        let line = journal.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text} in {journal}"));
        serde_json::from_str::<Value>(line).unwrap()["mono"].as_u64().unwrap()
    };
    Duration::from_millis(at(to).saturating_sub(at(from)))
}

/// What `child` told, once it has ended, for which it has a minute.
///
/// # Panics
/// If it had to be killed, because it did not end within that.
pub fn ended(child: Child) -> CommandOutput {
    CommandOutput::within(child, Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt,
        panic::{catch_unwind, resume_unwind},
    };

    use super::*;
    use crate::engine::Engine;

    fn shell(line: &str) -> Child {
        started(Command::new("sh").args(["-c", line]))
    }

    #[test]
    fn what_goes_on_beside_a_story_that_fails_is_ended() {
        let fixture = SandboxFixture { engine: Engine::local("none"), host_file: "/nowhere/host.toml".into() };
        let failed: thread::Result<()> = catch_unwind(|| {
            let env = TestEnv::new(&fixture);
            let sleeps = env.equip(Command::new("sleep").arg("1000")).spawn().unwrap();
            resume_unwind(Box::new(sleeps))
        });
        let mut sleeps = failed.unwrap_err().downcast::<Child>().unwrap();
        let ended = sleeps.try_wait().unwrap();
        let _ = sleeps.kill();
        assert_eq!(ended.map(|exit| exit.signal()), Some(Some(15)));
    }

    #[test]
    fn a_child_that_tells_more_than_a_pipe_holds_comes_to_its_end() {
        let told = ended(shell("head -c 300000 /dev/zero | tr '\\0' x; echo y >&2; exit 3"));
        assert_eq!((told.exit, told.out.len(), told.err.as_str()), (Some(3), 300_000, "y\n"));
    }

    #[test]
    #[should_panic(expected = "it did not end within 200ms:\nexit None\n\nso far\n")]
    fn a_child_that_does_not_end_is_killed_and_what_it_told_is_shown() {
        CommandOutput::within(shell("echo so far; exec sleep 1000"), Duration::from_millis(200));
    }
}
