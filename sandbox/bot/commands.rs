//! The commands of the bot: create, restore, snapshots, ls and download.

use std::{fs, path::Path};

use crate::{
    Fatal, Settings,
    json::{Json, quoted},
    labels::{Operation, Side, snapshot_paths},
    restic::{self, Snapshot},
    stack::{self, Stack, VOLUMES},
};

/// The file that `download` makes and abra fetches.
const DOWNLOAD: &str = "/tmp/backup.tar.gz";

/// `create`: pre-hooks, copy, post-hooks. It does not inspect the dumps of hooks: an empty one is a success.
pub(crate) fn create(settings: &Settings) -> Result<(), Fatal> {
    let stack = Stack::find(settings, Operation::Backup, true)?;
    let paths: Vec<String> = stack.volume_paths(settings, None)?.into_iter().flat_map(|volume| volume.paths).collect();
    if paths.is_empty() {
        return Err(Fatal::new(format!("{} has no volume to back up", stack.app)));
    }
    stack.run_hooks(settings, Operation::Backup, Side::Pre)?;
    if let Some(missing) = paths.iter().find(|path| Path::new(path).symlink_metadata().is_err()) {
        return Err(Fatal::new(format!("{missing} does not exist")));
    }
    settings.log("info", &format!("back up {}", paths.join(", ")));
    let mut retries = match settings.get("RETRIES") {
        Some(text) => text.parse::<u32>().map_err(|_| Fatal::new(format!("RETRIES={text} is not a number")))?,
        None => 1,
    };
    let summary = loop {
        match restic::backup(&stack.app, &paths) {
            Ok(summary) => break summary,
            Err(Fatal(error)) if retries > 0 => settings.log("warning", &format!("{error}; retrying")),
            Err(error) => return Err(error),
        }
        retries -= 1;
    };
    stack.run_hooks(settings, Operation::Backup, Side::Post)?;
    match settings.is_on("MACHINE_LOGS") {
        true => println!("{{\"message\": \"backup finished\", {}", summary.trim_start_matches('{')),
        false => {
            let id = Json::parse(&summary).and_then(|json| json.text(&["snapshot_id"]).map(str::to_owned)).unwrap_or_default();
            settings.log("info", &format!("backup finished, snapshot_id {id}"));
        }
    }
    Ok(())
}

/// `restore`: pre-hooks, the paths that the snapshot has of the volumes, post-hooks. `NO_COMMANDS` skips the hooks.
pub(crate) fn restore(settings: &Settings) -> Result<(), Fatal> {
    let hooks = !settings.is_on("NO_COMMANDS");
    let stack = Stack::find(settings, Operation::Restore, hooks)?;
    let snapshot = find_snapshot(settings, &stack.app)?;
    let target = settings.get("TARGET").unwrap_or_else(|| "/".to_owned());
    let volumes = stack.volume_paths(settings, settings.names("VOLUMES").as_deref())?;
    let wanted = volumes.iter().flat_map(|volume| volume.paths.iter().map(|path| (volume.root.as_str(), path)));
    let found: Vec<(&str, String)> =
        wanted.flat_map(|(root, path)| snapshot_paths(&snapshot.paths, path).into_iter().map(move |path| (root, path))).collect();
    if found.is_empty() {
        return Err(Fatal::new(format!("snapshot {} has none of the volumes to restore", snapshot.id)));
    }
    settings.log("info", &format!("restore snapshot {} at {target}", snapshot.id));
    if hooks {
        stack.run_hooks(settings, Operation::Restore, Side::Pre)?;
    }
    if target == "/" {
        // restic only adds and replaces, so files that are newer than the backup are removed first.
        found.iter().try_for_each(|(root, path)| stack::clear(root, path))?;
    }
    let paths: Vec<String> = found.into_iter().map(|(_, path)| path).collect();
    restic::restore(&snapshot.id, &target, &paths)?;
    settings.log("info", &format!("restored {}", paths.join(", ")));
    if hooks {
        stack.run_hooks(settings, Operation::Restore, Side::Post)?;
    }
    Ok(())
}

/// The snapshot of the app that `SNAPSHOT` names; the newest without it.
fn find_snapshot(settings: &Settings, app: &str) -> Result<Snapshot, Fatal> {
    let all = restic::snapshots(app)?.into_iter();
    match settings.get("SNAPSHOT").filter(|id| id != "latest") {
        // A full id starts with the eight digits of the list.
        Some(wanted) => {
            let mut all = all;
            let found = all.find(|snapshot| wanted.starts_with(&snapshot.id));
            found.ok_or_else(|| Fatal::new(format!("no snapshot {wanted} found for app {app}")))
        }
        None => all.last().ok_or_else(|| Fatal::new(format!("no snapshots found for app {app}"))),
    }
}

/// `snapshots`: a line with time and id for each, oldest first.
pub(crate) fn snapshots(settings: &Settings) -> Result<(), Fatal> {
    let app = settings.app()?;
    let all = restic::snapshots(&app)?;
    if all.is_empty() {
        settings.log("warning", &format!("no snapshots found for app {app}"));
    }
    all.iter().for_each(|snapshot| println!("{} {}", snapshot.time, snapshot.id));
    Ok(())
}

/// `ls`: a line for each file of a snapshot.
pub(crate) fn list(settings: &Settings) -> Result<(), Fatal> {
    let snapshot = find_snapshot(settings, &settings.app()?)?;
    let path = settings.get("INCLUDE_PATH").into_iter();
    let args: Vec<String> = ["ls", "--json", &snapshot.id].map(str::to_owned).into_iter().chain(path).collect();
    for node in restic::run(&args)?.lines().filter_map(Json::parse) {
        let (Some("node"), Some(path)) = (node.text(&["struct_type"]), node.text(&["path"])) else { continue };
        // The folders above the roots of the volumes are shown only on request.
        let inner = path.strip_prefix(VOLUMES).is_some_and(|rest| rest.matches('/').count() > 2);
        if !inner && !settings.is_on("SHOW_ALL") {
            continue;
        }
        let time = node.text(&["mtime"]).and_then(|time| time.split('.').next()).filter(|_| settings.is_on("TIMESTAMPS"));
        println!("{}{path}", time.map(|time| format!("{time} ")).unwrap_or_default());
    }
    Ok(())
}

/// `download`: packs a snapshot, or a path of it, for abra to fetch.
pub(crate) fn download(settings: &Settings) -> Result<(), Fatal> {
    if settings.is_on("SECRETS") {
        return Err(Fatal::new("the snapshots of the sandbox have no secrets"));
    }
    let snapshot = find_snapshot(settings, &settings.app()?)?;
    let folder = format!("/tmp/download-{}", std::process::id());
    let paths = settings.get("INCLUDE_PATH").map_or(snapshot.paths, |path| vec![path]);
    let packed = restic::restore(&snapshot.id, &folder, &paths).and_then(|()| restic::pack(&folder, DOWNLOAD));
    let _ = fs::remove_dir_all(&folder);
    packed?;
    match settings.is_on("MACHINE_LOGS") {
        true => println!("{{\"message_type\": \"info\", \"message\": \"download ready\", \"path\": {}}}", quoted(DOWNLOAD)),
        false => settings.log("info", &format!("download ready: {DOWNLOAD}")),
    }
    Ok(())
}
