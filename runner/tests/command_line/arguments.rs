//! Wrong arguments, files and environments: each gets a short cause, a hint and the right exit code.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, process::Stdio};

use crate::taster::{Taster, stderr_of};

#[test]
fn invalid_recipe_name_prints_the_rule() {
    Taster::new().refuses(&["--recipe", "Gh ost"], 2, &["lower-case letters"]);
}

#[test]
fn unknown_option_is_usage() {
    Taster::new().refuses(&["--recipe", "hello", "--frobnicate"], 2, &["--frobnicate"]);
    Taster::new().refuses(&["run"], 2, &["--recipe"]);
    Taster::new().refuses(&[], 2, &["Usage"]);
}

#[test]
fn folder_without_recipe_names_the_missing_file() {
    let taster = Taster::new();
    taster.refuses(&["--recipe", "hello", "--path", "nowhere"], 2, &["nowhere"]);
    taster.write("empty/README.md", "");
    taster.refuses(&["--recipe", "hello", "--path", "empty"], 2, &["is not a recipe", "compose.yml", ".env.sample"]);
    taster.write("half/compose.yml", "version: '3.8'\n");
    taster.refuses(&["--recipe", "hello", "--path", "half"], 2, &["is not a recipe", "it has no .env.sample"]);
}

#[test]
fn host_file_with_unknown_key_prints_position_and_closest_key() {
    let taster = Taster::new();
    let file = taster.write("host.toml", "zone = \"example.org\"\ningres = \"127.0.0.1:443\"\n");
    taster.refuses(
        &["--recipe", "hello", "--host", &file],
        2,
        &["line 2, column 1", "unknown key `ingres`", "did you mean `ingress`?"],
    );
    taster.refuses(&["--recipe", "hello", "--host", "missing.toml"], 2, &["missing.toml"]);
}

#[test]
fn absent_engine_is_inconclusive_and_leaves_no_run() {
    let taster = Taster::new();
    let file = taster.write("host.toml", "zone = \"example.org\"\nengine = \"/nonexistent/docker.sock\"\n");
    taster.refuses(
        &["--recipe", "hello", "--host", &file],
        3,
        &["no engine answers at /nonexistent/docker.sock", "Hint: Start the engine"],
    );
    assert!(!taster.home().join(".local/state/taster/runs").exists() || empty(&taster.home().join(".local/state/taster/runs")));
}

fn empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn version_is_that_of_the_package() {
    let output = Taster::new().run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), concat!("taster ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn invalid_value_prints_what_is_valid() {
    let taster = Taster::new();
    let long = "a".repeat(64);
    for (args, words) in [
        (&["--recipe", ""][..], &["it is empty", "`hello`"][..]),
        (&["--recipe=../x"], &["a recipe name is lower-case letters"]),
        (&["--recipe", "ünïcode"], &["a recipe name is lower-case letters"]),
        (&["--recipe", &long], &["more than 63 characters"]),
        (&["--recipe"], &["--recipe <NAME>"]),
        (&["--recipe", "hello", "--ref", ""], &["it is empty", "a tag, a branch or a commit"]),
        (&["--recipe", "hello", "--ref", "-x"], &["-x"]),
        (&["--recipe", "hello", "--ref=-x"], &["begins with `-`"]),
        (&["--recipe", "hello", "--ref", "a b"], &["blanks"]),
        (&["--recipe", "hello", "--ref", "main", "--path", "."], &["--ref <REF>", "--path <DIR>"]),
        (&["--recipe", "hello", "--deadline", "0"], &["from 1 to 86400"]),
        (&["--recipe", "hello", "--deadline", "-1"], &["from 1 to 86400"]),
        (&["--recipe", "hello", "--deadline", "99999999999"], &["from 1 to 86400"]),
        (&["--recipe", "hello", "--deadline", "soon"], &["--deadline"]),
        (&["--recipe", "hello", "--recipe", "hello"], &["cannot be used multiple times"]),
        (&["--recipe", "hello", "extra"], &["'extra'"]),
        (&["--recipe", "hello", "--tiers", "upgrde"], &["did you mean `upgrade`?", "install, upgrade, backup"]),
        (&["--recipe", "hello", "--disaster", "--no-canaries"], &["--disaster", "--no-canaries"]),
        (&["--recipe", "hello", "--tiers", ""], &["there is no such tier"]),
        (&["--recipe", "hello", "--format", "yaml"], &["human, json, junit"]),
        (&["janitor", "--runs", "nowhere"], &["there is no folder nowhere", "--runs takes"]),
        (&["status", ""], &["not a valid stack name"]),
        (&["status", "x", "--budget", "0"], &["from 1 to 86400"]),
        (&["look", "x"], &["look"]),
        (&["show", "a", "b"], &["'b'"]),
        (&["--recipe", "hello", "--pr", "0"], &["--pr"]),
        (&["--recipe", "hello", "--attach", "a.example.org", "--tiers", "install"], &["--attach", "--tiers"]),
        (&["completions", "csh"], &["bash", "zsh"]),
    ] {
        taster.refuses(args, 2, words);
    }
    assert!(!taster.home().join(".local").exists(), "no folder is created");
}

#[test]
fn path_without_recipe_prints_why() {
    let taster = Taster::new();
    taster.write("file", "");
    std::os::unix::fs::symlink("loop", taster.home().join("loop")).unwrap();
    taster.write("bare.git/HEAD", "ref: refs/heads/main\n");
    for (path, word) in [
        ("file", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("bare.git", "is not a recipe: it has no compose.yml"),
        ("", "--path <DIR>"),
    ] {
        taster.refuses(&["--recipe", "hello", "--path", path], 2, &[word]);
    }
}

#[test]
fn unusable_host_file_prints_what_a_host_file_is() {
    let taster = Taster::new();
    taster.write("folder/x", "");
    taster.write("binary", [0xff, 0xfe, 0]);
    taster.write("empty", "");
    for (file, words) in [
        ("folder", &["the host file folder", "it is a folder", "zone ="][..]),
        ("binary", &["it is not a text file", "zone ="]),
        ("empty", &["key `zone` is missing", "zone ="]),
        ("nowhere", &["No such file", "zone ="]),
        ("", &["--host <FILE>"]),
    ] {
        taster.refuses(&["--recipe", "hello", "--host", file], 2, words);
    }
    let mut command = taster.command(&["--recipe", "hello"]);
    stderr_of(command.env("TASTER_HOST", "/nowhere.toml"), 2, &["/nowhere.toml", "TASTER_HOST names this file", "zone ="]);
}

#[test]
fn unknown_command_prints_the_closest_one() {
    let taster = Taster::new();
    taster.refuses(&["lsit"], 2, &["'list'"]);
    taster.refuses(&["ghost"], 2, &["there is no command `ghost`", "did you mean `taster --recipe ghost`?"]);
    taster.refuses(&["Frob nicate"], 2, &["unrecognized subcommand"]);
    taster.refuses(&[""], 2, &["unrecognized subcommand"]);
    taster.refuses(&["--"], 2, &["--recipe"]);
}

#[test]
fn arguments_that_are_no_text_are_usage() {
    let taster = Taster::new();
    for word in [&b"\xff"[..], b"--recipe=\xff", b"--\xff"] {
        stderr_of(&mut taster.command(&[OsStr::from_bytes(word)]), 2, &["Usage"]);
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_never_a_panic() {
    let taster = Taster::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let shell = |line: &str, exit: i32, words: &[&str]| {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", line]).env("TASTER", env!("CARGO_BIN_EXE_taster")).env("HOME", taster.home());
        stderr_of(&mut command, exit, words);
    };
    shell("$TASTER list >/dev/full", 3, &["cannot write to standard output", "No space left"]);
    shell("$TASTER completions bash >/dev/full", 3, &["cannot write to standard output"]);
    shell("$TASTER schema host >/dev/full", 3, &["cannot write to standard output"]);
    let host = taster.write("host.toml", "zone = \"example.org\"\nengine = \"/nonexistent/docker.sock\"\n");
    shell(&format!("$TASTER doctor --host {host} >/dev/full"), 3, &["cannot write to standard output"]);
    shell("$TASTER list >&-", 0, &[]);
    shell("$TASTER list 2>&-", 0, &[]);
    shell("$TASTER completions bash | head -c 1 >/dev/null", 0, &[]);
    let refused = taster.command(&["--recipe", "X"]).stderr(full()).status().unwrap();
    assert_eq!(refused.code(), Some(2));
    let closed = taster.command(&["list"]).stdout(Stdio::null()).stderr(full()).status().unwrap();
    assert_eq!(closed.code(), Some(0));
}

#[test]
fn unusable_state_folder_prints_a_hint() {
    let taster = Taster::new();
    let file = taster.write("file", "");
    for args in [&["list"][..], &["show"]] {
        stderr_of(taster.command(args).env("XDG_STATE_HOME", &file), 3, &["Not a directory", "Hint: Set XDG_STATE_HOME"]);
        stderr_of(taster.command(args).env("HOME", &file), 3, &["Not a directory", "Hint: Set XDG_STATE_HOME"]);
    }
    // The specification of these folders ignores a relative one.
    stderr_of(taster.command(&["list"]).env("XDG_STATE_HOME", "file"), 0, &[]);
    stderr_of(taster.command(&["list"]).env_remove("PATH"), 0, &[]);
    assert!(!Path::new(&file).with_file_name(".local").exists(), "listing creates nothing");
}

#[test]
fn removed_current_folder_is_no_panic() {
    let taster = Taster::new();
    taster.write("gone/x", "");
    for (args, exit) in
        [(&["list"][..], 0), (&["--recipe", "hello", "--path", "."], 2), (&["--recipe", "hello", "--host", "x"], 2)]
    {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "rm -rf ../gone; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_taster")]).args(args);
        std::fs::create_dir_all(taster.home().join("gone")).unwrap();
        stderr_of(
            command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", taster.home()).current_dir(taster.home().join("gone")),
            exit,
            &[],
        );
    }
}

#[test]
fn offline_recipe_without_clone_prints_the_command_that_fetches_it() {
    let taster = Taster::new();
    let file = taster.write("host.toml", "zone = \"example.org\"\n");
    taster.refuses(
        &["--recipe", "ghost", "--offline", "--host", &file],
        2,
        &["ghost was not fetched before", ".abra/recipes/ghost", "abra recipe fetch ghost"],
    );
}

#[test]
fn completions_offer_no_hidden_command() {
    let taster = Taster::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = taster.stdout_of(&["completions", shell]);
        assert!(text.contains("recipe") && text.contains("janitor"), "{shell}");
        assert!(!text.contains("__child") && !text.contains("agent"), "{shell}: {text}");
    }
}
