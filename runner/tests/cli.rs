//! The command line as somebody types it: what is wrong gets one sentence, the remedy and the right exit code.

mod taster;

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, process::Stdio};

use taster::{Taster, said};

#[test]
fn a_name_that_is_none_says_the_rule() {
    Taster::new().refuses(&["--recipe", "Gh ost"], 2, &["lower-case letters"]);
}

#[test]
fn an_option_that_is_none_is_usage() {
    Taster::new().refuses(&["--recipe", "hello", "--frobnicate"], 2, &["--frobnicate"]);
    Taster::new().refuses(&["run"], 2, &["--recipe"]);
    Taster::new().refuses(&[], 2, &["Usage"]);
}

#[test]
fn a_folder_that_is_no_recipe_says_which_file_is_missing() {
    let taster = Taster::new();
    taster.refuses(&["--recipe", "hello", "--path", "nowhere"], 2, &["nowhere"]);
    taster.write("empty/README.md", "");
    taster.refuses(&["--recipe", "hello", "--path", "empty"], 2, &["is no recipe", "compose.yml", ".env.sample"]);
    taster.write("half/compose.yml", "version: '3.8'\n");
    taster.refuses(&["--recipe", "hello", "--path", "half"], 2, &["is no recipe", "it has no .env.sample"]);
}

#[test]
fn a_host_file_with_an_unknown_key_says_where_and_what_was_meant() {
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
fn an_engine_that_is_absent_or_no_engine_is_the_hosts_fault() {
    let taster = Taster::new();
    let file = taster.write("host.toml", "zone = \"example.org\"\nengine = \"/nonexistent/docker.sock\"\n");
    taster.refuses(
        &["--recipe", "hello", "--host", &file],
        3,
        &["no engine answers at /nonexistent/docker.sock", "start the engine"],
    );
    assert!(!taster.home().join(".local/state/taster/runs").exists() || empty(&taster.home().join(".local/state/taster/runs")));
}

fn empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn the_version_is_told() {
    let output = Taster::new().run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), concat!("taster ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_value_that_cannot_be_says_what_would_be_right() {
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
        (&["look", ""], &["no stack name"]),
        (&["look", "x", "--budget", "0"], &["from 1 to 86400"]),
        (&["show", "a", "b"], &["'b'"]),
        (&["completions", "csh"], &["bash", "zsh"]),
    ] {
        taster.refuses(args, 2, words);
    }
    assert!(!taster.home().join(".local").exists(), "nothing is left");
}

#[test]
fn a_path_that_is_no_recipe_says_why() {
    let taster = Taster::new();
    taster.write("file", "");
    std::os::unix::fs::symlink("loop", taster.home().join("loop")).unwrap();
    taster.write("bare.git/HEAD", "ref: refs/heads/main\n");
    for (path, word) in [
        ("file", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("bare.git", "is no recipe: it has no compose.yml"),
        ("", "--path <DIR>"),
    ] {
        taster.refuses(&["--recipe", "hello", "--path", path], 2, &[word]);
    }
}

#[test]
fn a_host_file_that_is_none_says_what_one_is() {
    let taster = Taster::new();
    taster.write("folder/x", "");
    taster.write("binary", [0xff, 0xfe, 0]);
    taster.write("empty", "");
    for (file, words) in [
        ("folder", &["the host file folder", "it is a folder", "zone ="][..]),
        ("binary", &["it is no text", "zone ="]),
        ("empty", &["missing field `zone`", "zone ="]),
        ("nowhere", &["No such file", "zone ="]),
        ("", &["--host <FILE>"]),
    ] {
        taster.refuses(&["--recipe", "hello", "--host", file], 2, words);
    }
    let mut command = taster.command(&["--recipe", "hello"]);
    said(command.env("TASTER_HOST", "/nowhere.toml"), 2, &["/nowhere.toml", "TASTER_HOST names it", "zone ="]);
}

#[test]
fn a_word_that_is_no_command_says_what_was_meant() {
    let taster = Taster::new();
    taster.refuses(&["lsit"], 2, &["'list'"]);
    taster.refuses(&["ghost"], 2, &["there is no command `ghost`", "did you mean `taster --recipe ghost`?"]);
    taster.refuses(&["Frob nicate"], 2, &["unrecognized subcommand"]);
    taster.refuses(&[""], 2, &["unrecognized subcommand"]);
    taster.refuses(&["--"], 2, &["--recipe"]);
}

#[test]
fn words_that_are_no_text_are_usage() {
    let taster = Taster::new();
    for word in [&b"\xff"[..], b"--recipe=\xff", b"--\xff"] {
        said(&mut taster.command(&[OsStr::from_bytes(word)]), 2, &["Usage"]);
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_and_never_a_panic() {
    let taster = Taster::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let shell = |line: &str, exit: i32, words: &[&str]| {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", line]).env("TASTER", env!("CARGO_BIN_EXE_taster")).env("HOME", taster.home());
        said(&mut command, exit, words);
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
fn a_state_folder_that_is_none_is_told_with_the_remedy() {
    let taster = Taster::new();
    let file = taster.write("file", "");
    for args in [&["list"][..], &["show"]] {
        said(taster.command(args).env("XDG_STATE_HOME", &file), 3, &["Not a directory", "set XDG_STATE_HOME"]);
        said(taster.command(args).env("HOME", &file), 3, &["Not a directory", "set XDG_STATE_HOME"]);
    }
    // After the specification of these folders a relative one does not count.
    said(taster.command(&["list"]).env("XDG_STATE_HOME", "file"), 0, &[]);
    said(taster.command(&["list"]).env_remove("PATH"), 0, &[]);
    assert!(!Path::new(&file).with_file_name(".local").exists(), "listing makes nothing");
}

#[test]
fn a_current_folder_that_is_gone_is_no_panic() {
    let taster = Taster::new();
    taster.write("gone/x", "");
    for (args, exit) in
        [(&["list"][..], 0), (&["--recipe", "hello", "--path", "."], 2), (&["--recipe", "hello", "--host", "x"], 2)]
    {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "rm -rf ../gone; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_taster")]).args(args);
        std::fs::create_dir_all(taster.home().join("gone")).unwrap();
        said(
            command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", taster.home()).current_dir(taster.home().join("gone")),
            exit,
            &[],
        );
    }
}

#[test]
fn offline_a_recipe_that_was_not_fetched_is_told_with_the_command_that_fetches_it() {
    let taster = Taster::new();
    let file = taster.write("host.toml", "zone = \"example.org\"\n");
    taster.refuses(
        &["--recipe", "ghost", "--offline", "--host", &file],
        2,
        &["ghost was not fetched before", ".abra/recipes/ghost", "abra recipe fetch ghost"],
    );
}

#[test]
fn completions_offer_what_people_type_and_nothing_else() {
    let taster = Taster::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = taster.tells(&["completions", shell]);
        assert!(text.contains("recipe") && text.contains("janitor"), "{shell}");
        assert!(!text.contains("__child") && !text.contains("agent"), "{shell}: {text}");
    }
}
