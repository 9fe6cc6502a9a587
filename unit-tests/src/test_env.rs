//! A folder for the runs of one test, and commands of taster whose runs go there.
//!
//! A test that fails half-way, or keeps an app, leaves nothing on the engine: the folder goes last, after its runs were ended and
//! cleaned up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use harness::model::names::RunId;
use serde_json::Value;

use crate::{
    command_output::{CommandOutput, started},
    engine::{printed, until},
    sandbox_fixture::SandboxFixture,
};

/// A folder for the runs of one test.
#[derive(Debug)]
pub struct TestEnv<'a> {
    /// The sandbox.
    pub fixture: &'a SandboxFixture,
    dir: tempfile::TempDir,
}

impl Drop for TestEnv<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.end_processes();
        }
        for run in self.runs() {
            let settled = harness::journal::settled(&run).unwrap_or(true);
            let name = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !settled {
                let _ = self.command(&["janitor", &name]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            }
        }
    }
}

impl<'a> TestEnv<'a> {
    /// An empty one.
    ///
    /// # Panics
    /// If there is no temporary folder.
    pub fn new(fixture: &'a SandboxFixture) -> Self {
        Self { fixture, dir: tempfile::tempdir().unwrap() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs taster with `args` to its end.
    ///
    /// # Panics
    /// If it cannot be started or does not end.
    #[track_caller]
    pub fn taster(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::after(self.start(args))
    }

    /// Starts taster with `args`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(&self, args: &[&str]) -> Child {
        started(&mut self.command(args))
    }

    /// taster with `args`, not started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut taster = self.fixture.taster(self.path());
        taster.args(args);
        taster
    }

    /// Gives a command that starts taster later the environment and the folder of [`Self::command`].
    pub fn equip<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let taster = self.command(&[]);
        let envs = taster.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(envs).current_dir(self.path()).stdin(Stdio::null())
    }

    /// A copy of the sandbox's recipe, in the folder `mine`.
    ///
    /// # Panics
    /// If git fails.
    pub fn copy_of(&self, recipe: &str) -> PathBuf {
        let copy = self.path().join("mine");
        self.clone_to(recipe, &copy);
        copy
    }

    /// Clones the sandbox's recipe into a new folder.
    ///
    /// # Panics
    /// If git fails.
    pub fn clone_to(&self, recipe: &str, folder: &Path) {
        let from = self.fixture.sandbox().join("recipes").join(recipe);
        printed(Command::new("git").args(["clone", "--quiet"]).arg(from).arg(folder), &["git", "clone", recipe]);
    }

    /// A new recipe in a folder of its name, with these texts and an empty `abra.sh`.
    ///
    /// # Panics
    /// If the folder exists or cannot be written.
    pub fn recipe(&self, name: &str, compose: &str, sample: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir(&folder).unwrap();
        for (file, text) in [("compose.yml", compose), (".env.sample", sample), ("abra.sh", "#!/bin/bash\n")] {
            fs::write(folder.join(file), text).unwrap();
        }
        folder
    }

    /// The sandbox's host file with the lines of the keys of `changed` replaced.
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

    /// A shell script in the place of abra; `$ABRA` in it is the sandbox's abra.
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

    /// The answer of a page of a host through the ingress, with its status and headers.
    ///
    /// # Panics
    /// If there is no answer.
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

    /// The process ids of the guardians of the runs.
    pub fn guardians(&self) -> Vec<u32> {
        let place = self.path().display().to_string();
        let guards = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("\0__guardian\0") && line.contains(&place)
        };
        processes().filter(guards).collect()
    }

    /// Waits until no guardian of a run lives.
    ///
    /// # Panics
    /// If one lives after a minute.
    pub fn until_guardians_end(&self) {
        until("the guardians have ended", || self.guardians().is_empty());
    }

    /// Ends the processes that were started here: the janitor leaves living runs alone.
    fn end_processes(&self) {
        let place = format!("XDG_STATE_HOME={}", self.path().display());
        let living = || {
            // A guardian ends with the run that it guards.
            let guardians = self.guardians();
            let lives = |pid: &u32| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ.split(|byte| *byte == 0).any(|entry| entry == place.as_bytes()) && !guardians.contains(pid)
            };
            processes().filter(lives).collect::<Vec<u32>>()
        };
        for pid in living() {
            // The process may have ended just now.
            let _ = Command::new("kill").args(["-s", "TERM", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let over = Instant::now() + Duration::from_secs(120);
        while !living().is_empty() && Instant::now() < over {
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Expects that nothing of any run is left: on the Swarm according to `leftovers.sh`, in its folder, in its journal.
    ///
    /// # Panics
    /// If something is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
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

/// The ids of all processes of the machine.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

/// The id of the run with this folder.
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
#[track_caller]
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

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt,
        panic::{catch_unwind, resume_unwind},
    };

    use super::*;
    use crate::engine::Engine;

    #[test]
    fn process_beside_a_failed_test_is_ended() {
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
}
