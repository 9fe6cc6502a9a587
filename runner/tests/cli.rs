//! The command line as somebody types it: what is wrong gets one sentence, the remedy and the right exit code.

use std::{
    path::Path,
    process::{Command, Output},
};

struct Taster {
    home: tempfile::TempDir,
}

impl Taster {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_taster"))
            .args(args)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.home())
            .output()
            .expect("taster starts")
    }

    /// Runs, and expects this exit code and these words on standard error.
    #[track_caller]
    fn refuses(&self, args: &[&str], exit: i32, words: &[&str]) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{args:?} said: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?} should say {word:?}, but said: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }
}

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
