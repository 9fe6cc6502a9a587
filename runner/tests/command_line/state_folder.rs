//! The state folder: whose it may be, what may be in the place of its files, and how it is pruned.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use harness::journal::RunLock;
use serde_json::{Value, json};

use crate::taster::{Taster, stderr_of};

fn state(taster: &Taster) -> PathBuf {
    taster.home().join(".local/state/taster")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A run of `recipe` with a journal that claims nothing, and results with this verdict.
fn keep(taster: &Taster, run: &str, recipe: &str, verdict: &str) -> PathBuf {
    let folder = state(taster).join("runs").join(run);
    let begun = json!({ "seq": 1, "event": "run-started", "version": 2, "run": run, "request": { "recipe": recipe } });
    taster.write(folder.join("events.jsonl"), format!("{begun}\n"));
    let verdict = json!({ "outcome": verdict, "tiers": ["install"], "reasons": [] });
    taster.write(folder.join("results.json"), json!({ "recipe": recipe, "verdict": verdict }).to_string());
    folder
}

#[test]
fn state_folder_that_others_can_enter_is_closed() {
    let taster = Taster::new();
    keep(&taster, "20261121-101502-abbbbbbb", "hello", "green");
    set_mode(&state(&taster), 0o755);
    taster.stdout_of(&["list"]);
    assert_eq!(mode(&state(&taster)), 0o700);
}

#[test]
fn state_folder_that_others_can_write_is_usage_for_every_command_that_uses_it() {
    let taster = Taster::new();
    keep(&taster, "20261121-101502-abbbbbbb", "hello", "green");
    for (folder, name) in [(state(&taster), ".local/state/taster"), (state(&taster).parent().unwrap().to_owned(), ".local/state")]
    {
        let before = mode(&folder);
        set_mode(&folder, 0o777);
        for command in [&["list"][..], &["show"], &["janitor"], &["prune"], &["plan", "--recipe", "hello"], &["doctor"]] {
            let sentence = format!("{name}\nHint: ");
            taster.refuses(
                command,
                2,
                &["the state folder ", "cannot be used: others can write to ", &sentence, "XDG_STATE_HOME"],
            );
        }
        set_mode(&folder, before);
    }
    let named = state(&taster).join("runs").display().to_string();
    set_mode(Path::new(&named), 0o777);
    taster.refuses(&["janitor", "--runs", &named], 2, &["others can write to"]);
}

#[test]
fn path_of_the_state_that_is_a_list_for_docker_is_usage() {
    for (name, shown) in [("a,b", "a,b"), ("a\"b", "a\\\"b"), ("a\nb", "a\\nb"), ("a:b", "a:b")] {
        let taster = Taster::new();
        let mut command = taster.command(&["list"]);
        command.env("XDG_STATE_HOME", taster.home().join(name));
        let text = stderr_of(&mut command, 2, &["the state folder ", shown, "read as a separator", "without this character"]);
        assert!(text.lines().count() <= 2, "{text}");
    }
}

#[test]
fn nothing_in_the_place_of_a_file_makes_a_command_wait() {
    let taster = Taster::new();
    let (run, before) = ("20261121-101502-abbbbbbb", "20261120-101502-aaaaaaaa");
    let folder = keep(&taster, run, "hello", "green");
    keep(&taster, before, "hello", "green");
    let host = taster.write("host.toml", "zone = \"example.org\"\nengine = \"/nonexistent/docker.sock\"\n");
    for file in ["events.jsonl", "results.json", "lock"] {
        for kind in ["pipe", "device", "folder", "huge"] {
            let path = folder.join(file);
            let kept = fs::read(&path).ok();
            let _ = fs::remove_file(&path);
            match kind {
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                "device" => symlink("/dev/zero", &path).unwrap(),
                "folder" => fs::create_dir(&path).unwrap(),
                _ => fs::File::create(&path).unwrap().set_len(200 << 20).unwrap(),
            }
            let began = Instant::now();
            for command in [
                &["list"][..],
                &["show", run],
                &["show", run, "--json"],
                &["janitor", "--engine", "/nonexistent/docker.sock"],
                &["prune", "--dry-run"],
            ] {
                let code = taster.run(command).status.code();
                assert!(code.is_some_and(|code| code <= 4), "{command:?} with a {kind} as {file}: {code:?}");
            }
            let path_of_file = path.display().to_string();
            taster.refuses(&["verify", &path_of_file, "--host", &host], 2, &["cannot read"]);
            let app = "hello-abbbbbbb.taster.test";
            taster.run(&["run", "--recipe", "hello", "--attach", app, "--host", &host]);
            assert!(began.elapsed() < Duration::from_secs(10), "a {kind} as {file}: {:?}", began.elapsed());
            if kind == "folder" {
                fs::remove_dir(&path).unwrap()
            } else {
                fs::remove_file(&path).unwrap()
            }
            kept.into_iter().for_each(|bytes| fs::write(&path, bytes).unwrap());
        }
    }
    let pipe = taster.home().join("host-pipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    taster.refuses(
        &["plan", "--recipe", "hello", "--host", &pipe.display().to_string()],
        2,
        &["cannot read the host file", "it is a pipe"],
    );
}

#[test]
fn prune_keeps_what_later_runs_and_cleanups_need() {
    let taster = Taster::new();
    let red = keep(&taster, "20261120-101502-aaaaaaaa", "hello", "red");
    let green = keep(&taster, "20261121-101502-baaaaaaa", "hello", "green");
    let older_green = keep(&taster, "20261119-101502-caaaaaaa", "hello", "green");
    let living = keep(&taster, "20261118-101502-daaaaaaa", "hello", "red");
    let claiming = keep(&taster, "20261117-101502-eaaaaaaa", "ghost", "red");
    let claim =
        json!({ "event": "claimed", "engine": "s", "what": { "claimed": "stack", "name": "ghost-eaaaaaaa_taster_test" } });
    let journal = fs::read_to_string(claiming.join("events.jsonl")).unwrap();
    taster.write(claiming.join("events.jsonl"), format!("{journal}{claim}\n"));
    let other = state(&taster).join("runs/notes");
    fs::create_dir(&other).unwrap();
    let outside = taster.home().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "x").unwrap();
    symlink(&outside, red.join("link")).unwrap();
    let lock = RunLock::attempt(&living).unwrap();

    let dry: Value = serde_json::from_str(&taster.stdout_of(&["prune", "--keep", "0", "--dry-run", "--json"])).unwrap();
    assert!(red.exists() && older_green.exists(), "a dry run removes nothing");
    let done: Value = serde_json::from_str(&taster.stdout_of(&["prune", "--keep", "0", "--json"])).unwrap();

    let names = |document: &Value, list: &str| -> Vec<String> {
        let rows = document[list].as_array().unwrap().iter();
        rows.map(|row| row["run_id"].as_str().unwrap().to_owned()).collect()
    };
    let removed = ["20261120-101502-aaaaaaaa", "20261119-101502-caaaaaaa"];
    assert_eq!(
        (names(&dry, "removed"), names(&done, "removed")),
        (removed.map(String::from).into(), removed.map(String::from).into())
    );
    assert_eq!(names(&done, "kept").len(), 3, "{done:#}");
    assert_eq!((&dry["dry_run"], &done["dry_run"], &done["schema"]), (&json!(true), &json!(false), &json!(1)));
    assert!(!red.exists() && !older_green.exists() && green.exists() && living.exists() && claiming.exists());
    assert!(other.exists() && outside.join("file").exists(), "nothing else is removed, and no link is followed");
    drop(lock);
    let text = taster.stdout_of(&["prune", "--older-than", "0d"]);
    assert!(!living.exists() && text.contains("20261118-101502-daaaaaaa (hello, ") && text.contains("removed 1 run "), "{text}");
    taster.refuses(&["prune", "--max-size", "much"], 2, &["it must be a size such as 500M or 2G"]);
    assert!(Taster::new().stdout_of(&["prune"]).contains("removed 0 runs"));
}
