//! Earlier runs are listed and shown from their folders, also from damaged ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness::journal::RunLock;
use serde_json::{Value, json};

use crate::taster::{Taster, stderr_of};

const OLD: &str = "20261120-101502-aaaaaaaa";
const NEW: &str = "20261121-101502-abbbbbbb";

fn line(seq: u64, rest: Value) -> String {
    let mut event = json!({ "seq": seq, "at": "2026-11-21T10:15:02.000Z", "mono": seq * 100 });
    event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    event.to_string() + "\n"
}

/// The journal of a run that a signal ended: begun, planned, and ended when `finished`.
fn journal(run: &str, recipe: &str, finished: bool) -> String {
    let request = json!({
        "recipe": recipe, "source": { "source": "catalogue", "at": null }, "tiers": ["install"],
        "deadline": { "secs": 1800, "nanos": 0 },
    });
    let host = json!({ "zone": "taster.test" });
    let begun = json!({ "event": "run-started", "version": 1, "run": run, "taster": "0.1.0", "request": request, "host": host });
    let plan = json!({ "head": null, "refusal": null, "steps": [], "skips": {} });
    let mut text = line(1, begun) + &line(2, json!({ "event": "cancel-requested", "why": { "cancel": "signal", "signal": 15 } }));
    text += &line(3, json!({ "event": "planned", "plan": plan }));
    if finished {
        text += &line(4, json!({ "event": "run-finished" }));
    }
    text
}

/// The folder of the runs.
fn runs(taster: &Taster) -> PathBuf {
    taster.home().join(".local/state/taster/runs")
}

fn keep(taster: &Taster, run: &str, recipe: &str, finished: bool) {
    taster.write(runs(taster).join(run).join("events.jsonl"), journal(run, recipe, finished));
    taster.write(runs(taster).join(run).join("lock"), "");
}

fn results(taster: &Taster, run: &str, recipe: &str, verdict: &str, finished: Option<&str>) {
    let value = json!({
        "schema": 1, "run_id": run, "recipe": recipe, "verdict": { "outcome": verdict, "tiers": ["install"], "reasons": [] },
        "level": 1, "finished": finished,
    });
    taster.write(runs(taster).join(run).join("results.json"), value.to_string());
}

#[test]
fn list_has_the_last_run_of_each_recipe() {
    let taster = Taster::new();
    results(&taster, OLD, "hello", "green", Some("2026-11-20T10:15:09.000Z"));
    results(&taster, NEW, "hello", "red", Some("2026-11-21T10:15:09.000Z"));
    results(&taster, "20261119-101502-cccccccc", "custom-html", "inconclusive", None);
    let table = taster.stdout_of(&["list"]);
    let row = |recipe: &str| table.lines().find(|line| line.starts_with(recipe)).unwrap_or_else(|| panic!("{table}"));
    assert!(row("hello ").contains("red (install)") && row("hello ").contains("2026-11-21 10:15 UTC"), "{table}");
    assert!(row("custom-html").contains("not finished") && row("custom-html").contains("began 2026-11-19 10:15 UTC"), "{table}");
    assert!(!row("custom-html").contains("cccccccc"), "{table}");

    let document: Value = serde_json::from_str(&taster.stdout_of(&["list", "--json"])).unwrap();
    assert_eq!((&document["schema"], &document["sandbox"]), (&json!(1), &json!(true)));
    let rows = document["recipes"].as_array().unwrap();
    let hello = rows.iter().find(|row| row["recipe"] == "hello").unwrap();
    assert!(hello["version"].as_str().is_some_and(|version| version.contains('+')), "{hello}");
    assert_eq!((&hello["last"]["run_id"], &hello["last"]["verdict"]), (&NEW.into(), &"red".into()));
    let tests = json!({ "health": 1, "roundtrip": 1, "distinctive": 3 });
    assert_eq!(
        hello["pack"],
        json!({ "tests": tests, "canaries": 1, "superficial": false, "parity": { "named": 5, "deferred": 0, "wrong": [] } })
    );
    let all = document["tests"].as_array().unwrap();
    let one = json!({
        "recipe": "hello", "file": "recipes/hello/custom/posts.rs", "test": "posts::a post is read back",
        "kind": "roundtrip", "origin": "pack",
    });
    assert!(all.contains(&one) && all.iter().filter(|test| test["recipe"] == "hello").count() == 5, "{all:?}");
    assert!(row("hello ").contains("5 tests"), "{table}");
    assert_eq!((&hello["last"]["tiers"], &hello["last"]["level"]), (&json!(["install"]), &json!(1)));
    assert!(hello["last"]["age_ms"].is_i64() || hello["last"]["age_ms"].is_u64(), "{hello}");
}

#[test]
fn list_leaves_out_unreadable_results_with_a_warning() {
    let taster = Taster::new();
    results(&taster, OLD, "hello", "green", Some("2026-11-20T10:15:09.000Z"));
    taster.write(runs(&taster).join(NEW).join("results.json"), "{\"recipe\": ");
    taster.write(runs(&taster).join("notes").join("results.json"), "no run");
    fs::create_dir_all(runs(&taster).join("20261121-101503-dddddddd")).unwrap();
    let output = taster.run(&["list"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("green (install)"), "{out}{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with("warning: ") && err.contains(NEW), "{err}");
}

#[test]
fn list_with_a_host_file_has_the_recipes_that_abra_has_fetched() {
    let taster = Taster::new();
    let host = taster.write("host.toml", "zone = \"example.org\"\n");
    taster.write(".abra/recipes/drone/compose.yml", "");
    taster.write(".abra/recipes/drone/.git/packed-refs", "# pack-refs\n0123 refs/heads/main\n0123 refs/tags/1.9.0+5.0\n^0123\n");
    taster.write(".abra/recipes/drone/.git/refs/tags/1.10.0+5.1", "0123\n");
    taster.write(".abra/recipes/notes/README.md", "");
    let document: Value = serde_json::from_str(&taster.stdout_of(&["list", "--json", "--host", &host])).unwrap();
    assert_eq!(document["recipes"], json!([{ "recipe": "drone", "version": "1.10.0+5.1", "pack": null, "last": null }]));
    assert_eq!(document["sandbox"], false);
}

#[test]
fn run_is_found_by_every_unambiguous_name() {
    let taster = Taster::new();
    keep(&taster, OLD, "ghost", true);
    keep(&taster, NEW, "hello", true);
    for (name, run) in [
        (&["show"][..], NEW),
        (&["show", OLD], OLD),
        (&["show", "aaaaaaaa"], OLD),
        (&["show", "ab"], NEW),
        (&["show", "20261120"], OLD),
        (&["show", "ghost"], OLD),
        (&["show", "hello"], NEW),
    ] {
        let text = taster.stdout_of(name);
        assert!(text.contains(&format!("(run {run}; install)")), "{name:?}: {text}");
        assert!(text.contains("ending early") && text.contains("\n  repeat: taster --recipe "), "{text}");
    }
    taster.refuses(&["show", "2026112"], 2, &["the beginning of several runs", OLD, NEW]);
    taster.refuses(&["show", "hallo"], 2, &["no run \"hallo\"", "did you mean `hello`?", NEW]);
    taster.refuses(&["show", ""], 2, &["no run \"\""]);
    taster.refuses(&["show", "../x"], 2, &["no run \"../x\""]);
    Taster::new().refuses(&["show"], 2, &["there is no run to show", "taster --recipe NAME"]);
}

#[test]
fn follow_ends_with_the_exit_code_of_the_run() {
    let taster = Taster::new();
    keep(&taster, NEW, "hello", true);
    assert_eq!(taster.run(&["show"]).status.code(), Some(0));
    assert_eq!(taster.run(&["show", "--follow"]).status.code(), Some(143));
    let document: Value = serde_json::from_str(&taster.stdout_of(&["show", "--json"])).unwrap();
    assert_eq!((&document["run_id"], &document["exit_code"]), (&NEW.into(), &143.into()));
}

#[test]
fn killed_run_is_shown_as_killed() {
    let taster = Taster::new();
    keep(&taster, NEW, "hello", false);
    let text = stderr_of(&mut taster.command(&["show"]), 0, &["was killed before its end", "taster janitor"]);
    assert!(!text.contains("goes on"), "{text}");
    let output = taster.run(&["show", "--follow"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("inconclusive (install not verified: the run ended before it did)"), "{text}");
}

#[test]
fn killed_run_that_was_cleaned_up_asks_for_no_janitor() {
    let taster = Taster::new();
    keep(&taster, NEW, "hello", false);
    let begun = journal(NEW, "hello", false);
    let cleaned = json!({
        "seq": begun.lines().count() + 1, "at": "2026-11-21T10:15:09.000Z", "mono": 9000,
        "event": "cleaned-after", "by": "guardian", "removed": 3,
    });
    taster.write(runs(&taster).join(NEW).join("events.jsonl"), format!("{begun}{cleaned}\n"));

    let text = stderr_of(&mut taster.command(&["show"]), 0, &["was killed before its end, and the guardian cleaned up after it"]);

    assert!(!text.contains("taster janitor"), "{text}");
}

#[test]
fn follow_waits_for_the_end_of_a_living_run() {
    let taster = Taster::new();
    keep(&taster, NEW, "hello", false);
    let folder = runs(&taster).join(NEW);
    let lock = RunLock::take(&folder).unwrap();
    stderr_of(&mut taster.command(&["show"]), 0, &["--follow waits for its end"]);
    let mut following =
        taster.command(&["show", "--follow"]).stdout(fs::File::create(folder.join("out")).unwrap()).spawn().unwrap();
    wait_for(&folder.join("out"), "ending early");
    assert!(following.try_wait().unwrap().is_none(), "it waits as long as the run lives");
    fs::write(folder.join("events.jsonl"), journal(NEW, "hello", true)).unwrap();
    assert_eq!(following.wait().unwrap().code(), Some(143));
    drop(lock);
    let text = fs::read_to_string(folder.join("out")).unwrap();
    assert_eq!(text.matches("tasting hello").count(), 1, "each event is printed once: {text}");
}

fn wait_for(file: &Path, text: &str) {
    let over = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !fs::read_to_string(file).is_ok_and(|read| read.contains(text)) {
        assert!(std::time::Instant::now() < over, "{} never has {text}", file.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn unreadable_journal_is_usage_with_the_cause() {
    let taster = Taster::new();
    let file = runs(&taster).join(NEW).join("events.jsonl");
    fs::create_dir_all(runs(&taster).join(NEW)).unwrap();
    taster.refuses(&["show", NEW], 2, &["has no journal", "events.jsonl"]);
    taster.write(&file, "");
    taster.refuses(&["show", NEW], 2, &["cannot read the journal", "it is empty"]);
    taster.write(&file, [0xff, 0, b'\n', 1]);
    taster.refuses(&["show", NEW], 2, &["cannot read the journal", "line 1"]);
    let whole = journal(NEW, "hello", true);
    taster.write(&file, &whole[..whole.len() - 10]);
    stderr_of(&mut taster.command(&["show", NEW]), 0, &["warning:", "line 4: cut off", "was killed"]);
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(&file).unwrap();
    taster.refuses(&["show", NEW], 2, &["cannot read", "events.jsonl"]);
}

/// Results of a run of hello with these custom tests: the status of each, or `filtered` for one that a choice left out.
fn with_tests(taster: &Taster, run: &str, tests: &[(&str, &str)]) {
    let stage = |&(name, status): &(&str, &str)| match status {
        "filtered" => json!({
            "name": name, "tier": "custom", "status": "skip",
            "outcome": { "outcome": "skipped", "detail": { "reason": "filtered", "by": "one" } },
        }),
        status => json!({ "name": name, "tier": "custom", "status": status, "outcome": null }),
    };
    let stages: Vec<Value> = tests.iter().map(stage).collect();
    let verdict = json!({ "outcome": "red", "tiers": ["install", "custom"], "reasons": [] });
    let value = json!({ "schema": 1, "run_id": run, "recipe": "hello", "verdict": verdict, "stages": stages });
    taster.write(runs(taster).join(run).join("results.json"), value.to_string());
}

#[test]
fn choice_without_any_test_is_usage() {
    let taster = Taster::new();
    let refused = |args: &[&str], exit: i32, text: &str| {
        let output = taster.run(&[&["plan", "--recipe", "hello"], args].concat());
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {err}");
        assert!(err.contains(text), "{args:?}: {err}");
    };
    refused(&["--", "no such test"], 2, "the choice matches none of the 5 custom tests of hello");
    refused(&["--", "no such test"], 2, "There are: page::a browser shows the page; posts::the health page answers; ");
    refused(&["--", "--exact", "a post is read back"], 2, "the choice matches none");
    refused(&["--", "--skip", "posts", "--skip", "page"], 2, "the choice matches none");
    refused(
        &["--", "--nocapture"],
        2,
        "the arguments after `--` do not choose tests\nCaused by: unexpected argument '--nocapture'",
    );
    refused(&["--tiers", "install", "--", "post"], 2, "custom tests are chosen, and --tiers leaves them out");
    refused(&["--failed"], 2, "there is no earlier run of hello with custom tests");
    let [read, page] = ["posts::a post is read back", "posts::the page counts the posts"];
    with_tests(&taster, OLD, &[(read, "pass"), (page, "pass")]);
    refused(&["--failed"], 5, "every custom test of the last run of hello passed");
    // For a test that the last run left out the run before counts.
    with_tests(&taster, NEW, &[(read, "pass"), (page, "filtered")]);
    refused(&["--failed"], 5, "every custom test of the last run of hello passed");
    with_tests(&taster, OLD, &[(read, "fail"), (page, "unver")]);
    refused(&["--failed", "--", "read back"], 2, "the choice matches none");
}

#[test]
fn run_of_version_1_is_listed_shown_and_verified() {
    const RUN: &str = "20261201-130343-q3vlikx5";
    let fixture = |file: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../unit-tests/fixtures/v1");
        fs::read_to_string(folder.join(file)).unwrap()
    };
    let taster = Taster::new();
    for file in ["events.jsonl", "results.json"] {
        taster.write(runs(&taster).join(RUN).join(file), fixture(file));
    }
    let host = taster.write("host.toml", "zone = \"example.org\"\nengine = \"/nonexistent/docker.sock\"\n");
    taster.write(".abra/recipes/hello-store/compose.yml", "");
    let table = taster.stdout_of(&["list", "--host", &host]);
    assert!(table.lines().any(|line| line.starts_with("hello-store ") && line.contains("green (install, ")), "{table}");
    let shown = taster.stdout_of(&["show", RUN]);
    for part in [
        "] verify-head: passed",
        "] cleanup: passed",
        "green (install, upgrade, backup, restore), level 3",
        "left behind: nothing",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let file = taster.write("results.json", fixture("results.json"));
    let verify = |file: &str| taster.run(&["verify", file, "--host", &host]);
    let output = verify(&file);
    assert_eq!(output.status.code(), Some(3), "its digest and its fields are read, and then no engine answers: {output:?}");
    let changed = taster.write("changed.json", fixture("results.json").replace("\"level\": 3", "\"level\": 5"));
    let output = verify(&changed);
    assert!(
        output.status.code() == Some(1) && String::from_utf8_lossy(&output.stdout).starts_with("refuted at its digest"),
        "{output:?}"
    );
}
