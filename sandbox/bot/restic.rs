//! Calls of restic. It reads repository and password from the environment.

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Fatal, json::Json};

/// The longest wait for another process's lock on the repository. Forgetting a snapshot takes a second.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause between two attempts to get the lock.
const LOCK_RETRY: Duration = Duration::from_millis(300);

/// A snapshot of an app.
pub(crate) struct Snapshot {
    /// Its id of eight digits.
    pub(crate) id: String,
    /// When it was taken, RFC 3339 without fractions and zone.
    pub(crate) time: String,
    /// The paths that were copied.
    pub(crate) paths: Vec<String>,
}

/// Creates the repository if it is missing. Of several processes, one creates it and the others wait.
pub(crate) fn prepare() -> Result<(), Fatal> {
    let repository = env::var("RESTIC_REPOSITORY").map_err(|_| Fatal::new("RESTIC_REPOSITORY is not set"))?;
    let config = Path::new(&repository).join("config");
    if config.exists() {
        return Ok(());
    }
    let lock_path = format!("{repository}.lock");
    let file = File::create(&lock_path).and_then(|file| file.lock().map(|()| file));
    let _lock = file.map_err(|error| Fatal::new(format!("cannot lock {lock_path}: {error}")))?;
    if !config.exists() {
        run(&["init".into()])?;
    }
    Ok(())
}

/// Removes the locks of dead processes.
pub(crate) fn unlock() {
    let _ = command(&["unlock".into()]).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn command(args: &[String]) -> Command {
    let mut command = Command::new("restic");
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs restic and returns its standard output. Waits for locks, because this version of restic does not.
pub(crate) fn run(args: &[String]) -> Result<String, Fatal> {
    let started = Instant::now();
    loop {
        let output = command(args).output().map_err(|error| Fatal::new(format!("cannot start restic: {error}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        if !errors.contains("already locked") || started.elapsed() > LOCK_TIMEOUT {
            let verb = args.first().map(String::as_str).unwrap_or_default();
            return Err(Fatal::new(format!("restic {verb} failed ({}): {errors}", output.status)));
        }
        unlock();
        thread::sleep(LOCK_RETRY);
    }
}

/// The snapshots of an app, oldest first.
pub(crate) fn snapshots(app: &str) -> Result<Vec<Snapshot>, Fatal> {
    let printed = run(&["snapshots", "--json", "--host", app, "--tag", app].map(str::to_owned))?;
    let all = Json::parse(printed.trim()).ok_or_else(|| Fatal::new("restic's list of snapshots is not JSON"))?;
    let snapshot = |json: &Json| {
        Some(Snapshot {
            id: json.text(&["short_id"])?.to_owned(),
            time: json.text(&["time"])?.split('.').next()?.to_owned(),
            paths: json.items(&["paths"]).iter().filter_map(|path| path.text(&[]).map(str::to_owned)).collect(),
        })
    };
    let mut snapshots: Vec<Snapshot> = all.items(&[]).iter().filter_map(snapshot).collect();
    snapshots.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(snapshots)
}

/// Copies `paths` into a snapshot of the app. Returns restic's summary, a JSON object.
pub(crate) fn backup(app: &str, paths: &[String]) -> Result<String, Fatal> {
    let args = ["backup", "--json", "--host", app, "--tag", app, "--"].map(str::to_owned);
    let printed = run(&[&args[..], paths].concat())?;
    let summary = printed.lines().rev().find(|line| line.contains("\"message_type\":\"summary\""));
    summary.map(str::to_owned).ok_or_else(|| Fatal::new("restic gave no summary"))
}

/// Restores `paths` of a snapshot below `target`. Files that are not in the snapshot stay.
pub(crate) fn restore(id: &str, target: &str, paths: &[String]) -> Result<(), Fatal> {
    let includes = paths.iter().flat_map(|path| ["--include".to_owned(), escape_pattern(path)]);
    let args: Vec<String> = ["restore", id, "--target", target].map(str::to_owned).into_iter().chain(includes).collect();
    run(&args).map(drop)
}

/// A pattern that matches exactly this path.
fn escape_pattern(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Packs a folder into `file`, a tar compressed by gzip.
pub(crate) fn pack(folder: &str, file: &str) -> Result<(), Fatal> {
    let new = format!("{file}.{}", std::process::id());
    let done = Command::new("busybox").args(["tar", "-czf", &new, "-C", folder, "."]).stdin(Stdio::null()).status();
    match done {
        Ok(status) if status.success() => {
            fs::rename(&new, file).map_err(|error| Fatal::new(format!("cannot write {file}: {error}")))
        }
        Ok(status) => Err(Fatal::new(format!("tar failed ({status})"))),
        Err(error) => Err(Fatal::new(format!("cannot start tar: {error}"))),
    }
}
