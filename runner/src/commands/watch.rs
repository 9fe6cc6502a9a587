//! `taster watch`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use harness::model::{
    exit_code::ExitCode,
    names::{Domain, RecipeName},
    time::format_duration,
};
use notify::{Event, EventKind, RecursiveMode, Watcher, event::ModifyKind};
use serde_json::Value;

use crate::{
    env::Env,
    error::CommandError,
    kept_app, output,
    pure::changes::{Places, Work},
    run_args::recipe,
    workspace,
};

/// The time without changes after which a change counts as saved: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(60);
/// The longest wait for such a time.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The variables that `cargo run` sets for a program. A build with values of another package builds those dependencies again
/// whose build scripts read them, which takes longer than everything else.
const SET_BY_CARGO: [&str; 14] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// Runs tests again on a kept app, each time a file with tests is saved
///
/// Watches the recipe's pack among the sources of taster, if the current folder is within them, `tests/` of the recipe's
/// repository, and the folder of --pack. After a change of an executable that executable runs. After a change of a Rust file
/// taster is built, and the new program runs the tests of that file. After a change of a file that several tests use all tests
/// run. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// The recipe
    #[arg(long, value_name = "NAME", value_parser = recipe)]
    recipe: RecipeName,
    /// The app, which an earlier run keeps
    #[arg(long, value_name = "DOMAIN")]
    attach: Domain,
    /// A folder with the recipe, whose `tests/` is watched; by default the one that the earlier run tested
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// A folder with executables that are custom tests too
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
    /// Runs the executables below `tests/` of the recipe's own repository, which otherwise only the host file allows
    #[arg(long)]
    trust_tests: bool,
    /// The host file to use
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
}

impl Watch {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let absolute = |folder: &Option<PathBuf>| match folder {
            Some(folder) => folder
                .canonicalize()
                .map(Some)
                .map_err(|error| CommandError::usage(error).context(format!("cannot read {}", folder.display()))),
            None => Ok(None),
        };
        let (path, folder) = (absolute(&self.path)?, absolute(&self.pack)?);
        // The lock is released at once, because each run of the tests takes it.
        let held = kept_app::hold(&env.runs(), &self.recipe, &self.attach, path.as_deref())?;
        let sources = workspace::packs(&workspace::current_dir()?);
        let pack = sources.as_ref().map(|sources| sources.join(self.recipe.as_str()));
        let places = Places { pack, repository: held.repository.canonicalize().ok(), folder };
        drop(held);

        let folders = places.folders();
        if folders.is_empty() {
            return Err(CommandError::usage(format!("there are no tests of {} to watch", self.recipe))
                .hint("Start it within the sources of taster, or name a folder with --path or --pack."));
        }
        let failed = |error: notify::Error| CommandError::host(error).context("cannot watch files");
        let (sender, changes) = channel();
        let mut watcher = notify::recommended_watcher(sender).map_err(failed)?;
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::Recursive).map_err(failed)?;
        }
        let shown: Vec<String> = folders.iter().map(|folder| workspace::relative(folder).display().to_string()).collect();
        output::message(&format!("watching {}; Ctrl-C ends it", shown.join(", ")));

        let mut program = env.exe.clone();
        let mut ran = false;
        while let Some((since, paths)) = next(&changes, ran) {
            let work = places.work(&paths, !ran);
            ran = false;
            if work.is_empty() {
                continue;
            }
            let what = if work.all { "all tests".to_owned() } else { work.files.iter().cloned().collect::<Vec<_>>().join(", ") };
            output::message(&format!("changed: {what}"));
            if work.build {
                match build(sources.as_deref(), &env.exe) {
                    Ok(Some(built)) => program = built,
                    Ok(None) => continue,
                    Err(error) => return Err(CommandError::host(error).context("cannot start cargo")),
                }
            }
            let exit = self.test(&program, &work)?;
            output::message(&format!("{} after the change: exit {exit}", format_duration(since.elapsed())));
            ran = true;
        }
        Ok(ExitCode::Green.into())
    }

    /// Runs the tests in a separate run, which ends with this process. Returns its exit code or its signal as text.
    fn test(&self, program: &Path, work: &Work) -> Result<String, CommandError> {
        let mut run = Command::new(program);
        run.args(["run", "--recipe", self.recipe.as_str(), "--attach", self.attach.as_str()]).stdin(Stdio::null());
        let folders = [("--path", &self.path), ("--pack", &self.pack), ("--host", &self.host)];
        for (option, value) in folders.into_iter().filter_map(|(option, value)| Some((option, value.as_ref()?))) {
            run.arg(option).arg(value);
        }
        if self.trust_tests {
            run.arg("--trust-tests");
        }
        for file in work.files.iter().filter(|_| !work.all) {
            run.arg("--file").arg(file);
        }
        let status =
            run.status().map_err(|error| CommandError::host(error).context(format!("cannot start {}", program.display())))?;
        Ok(status.code().map_or_else(|| status.to_string(), |code| code.to_string()))
    }
}

/// Waits for the next change and for a time without changes after it. Gives the changed paths with the time of the first change.
/// After a run the paths include those that the run itself wrote.
fn next(changes: &Receiver<notify::Result<Event>>, ran: bool) -> Option<(Instant, BTreeSet<PathBuf>)> {
    let mut paths = BTreeSet::new();
    let mut since = Instant::now();
    loop {
        let event = match (ran || !paths.is_empty(), paths.is_empty()) {
            // A file that changes all the time, such as a log, must not delay the tests for ever.
            (true, _) if !paths.is_empty() && since.elapsed() > MAX_WAIT => Err(RecvTimeoutError::Timeout),
            (true, _) => changes.recv_timeout(QUIET),
            (false, _) => changes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(event) => {
                let saved: Vec<PathBuf> = event.into_iter().filter(saves).flat_map(|event| event.paths).collect();
                if paths.is_empty() && !saved.is_empty() {
                    since = Instant::now();
                }
                paths.extend(saved);
            }
            Err(RecvTimeoutError::Timeout) => return Some((since, paths)),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Whether a file was written, created, renamed, or made executable. An access is not a change.
fn saves(event: &Event) -> bool {
    match event.kind {
        EventKind::Create(_)
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Name(_) | ModifyKind::Metadata(_) | ModifyKind::Any) => true,
        EventKind::Any
        | EventKind::Access(_)
        | EventKind::Modify(ModifyKind::Other)
        | EventKind::Remove(_)
        | EventKind::Other => false,
    }
}

/// Builds taster with the profile of the running program. Gives the path of the new program; absent when it does not build, which
/// cargo has reported.
fn build(sources: Option<&Path>, running: &Path) -> std::io::Result<Option<PathBuf>> {
    let Some(workspace) = sources.and_then(Path::parent) else { return Ok(None) };
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--bin", "taster", "--message-format", "json-render-diagnostics"]).current_dir(workspace);
    for name in SET_BY_CARGO {
        cargo.env_remove(name);
    }
    if running.components().any(|part| part.as_os_str() == "release") {
        cargo.arg("--release");
    }
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n').rev();
    let mut messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let built = messages.find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    Ok(built.filter(|_| output.status.success()))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn file_that_changes_all_the_time_counts_as_changed() {
        let (writes, changes) = mpsc::channel();
        thread::spawn(move || {
            let written = || Event::new(EventKind::Modify(ModifyKind::Any)).add_path("noisy.log".into());
            while writes.send(Ok(written())).is_ok() {
                thread::sleep(QUIET / 6);
            }
        });
        let (result, results) = mpsc::channel();
        thread::spawn(move || result.send(next(&changes, false)));
        let (_, paths) = results.recv_timeout(MAX_WAIT * 30).unwrap().unwrap();
        assert_eq!(paths, BTreeSet::from(["noisy.log".into()]));
    }
}
