//! The invariants of `docs/architecture.md`, checked over the sources.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn files(places: &[&str]) -> Vec<PathBuf> {
    places
        .iter()
        .map(|place| root().join(place))
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

/// The lines of code in `file` that name one of `words`; comments do not count.
fn naming(file: &Path, words: &[&str]) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(number, line)| format!("{}:{}: {}", file.display(), number + 1, line.trim()))
        .collect()
}

fn forbid(places: &[&str], words: &[&str], except: &[&str]) {
    let found: Vec<String> = files(places)
        .iter()
        .filter(|file| !except.iter().any(|place| file.starts_with(root().join(place))))
        .flat_map(|file| naming(file, words))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn decisions_reach_nothing_outside() {
    let pure = [
        "harness/src/model",
        "harness/src/event.rs",
        "harness/src/backup.rs",
        "harness/src/base.rs",
        "harness/src/canary.rs",
        "harness/src/compose",
        "harness/src/lint.rs",
        "harness/src/policy",
        "harness/src/upgrade",
        "harness/src/plan",
        "harness/src/post.rs",
        "harness/src/thorough.rs",
        "harness/src/preflight",
        "harness/src/state.rs",
        "harness/src/claim.rs",
        "harness/src/marker.rs",
        "harness/src/sweep.rs",
        "harness/src/world.rs",
        "harness/src/verdict.rs",
        "harness/src/rungs.rs",
        "harness/src/converge",
        "harness/src/keep.rs",
        "harness/src/executables.rs",
        "harness/src/picture.rs",
        "runner/src/changes.rs",
        "runner/src/scaffold.rs",
        "runner/src/table.rs",
        "runner/src/reference.rs",
        "runner/src/reference",
    ];
    forbid(
        &pure,
        &["tokio", "bollard", "std::fs", "std::process", "std::net::Tcp", "SystemTime", "Instant::now", "::now()"],
        &[],
    );
}

#[test]
fn only_adapters_name_a_crate_that_reaches_outside() {
    let crates = ["bollard", "reqwest", "portable_pty", "rustls::"];
    forbid(&["harness/src"], &crates, &["harness/src/adapters"]);
    forbid(&["runner/src"], &crates, &[]);
}

#[test]
fn only_main_reads_the_environment_and_nobody_exits() {
    forbid(
        &["harness/src", "runner/src", "recipes/src"],
        &["env::var(", "env::var_os(", "env::vars", "process::exit"],
        &["runner/src/main.rs"],
    );
    forbid(&["sandbox/src"], &["process::exit"], &[]);
    // The stand-in is a program of its own, started as any abra is.
    forbid(&["sandbox/src"], &["env::var(", "env::var_os(", "env::vars"], &["sandbox/src/abra"]);
}

#[test]
fn harness_and_sandbox_do_not_know_each_other() {
    for (package, other) in [("harness", "sandbox"), ("sandbox", "harness")] {
        let manifest = std::fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest");
        assert!(!manifest.lines().any(|line| line.starts_with(other)), "{package} depends on {other}");
    }
}

#[test]
fn a_step_never_calls_another() {
    let stem = |file: &Path| file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let steps = files(&["harness/src/steps"]);
    // The module starts them, and settling is a wait that several of them share.
    let names: Vec<String> =
        steps.iter().map(|file| stem(file)).filter(|name| !["mod", "settle"].contains(&name.as_str())).collect();
    assert!(names.len() > 20, "{names:?}");
    for file in steps.iter().filter(|file| names.contains(&stem(file))) {
        let name = stem(file);
        let others: Vec<String> =
            names.iter().filter(|other| **other != name).map(|other| format!("{other}::{other}(")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let found = naming(file, &others);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn no_file_outgrows_its_name() {
    let long: Vec<String> = files(&["harness", "recipes", "runner", "sandbox", "unit-tests"])
        .iter()
        .map(|file| (file, std::fs::read_to_string(file).map_or(0, |text| text.lines().count())))
        .filter(|(_, lines)| *lines > 800)
        .map(|(file, lines)| format!("{} has {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}
