//! `results.json`: what programs read of a run.

use std::sync::Arc;

use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::log::Log,
    journal::Journal,
    model::outcome::Tier,
    pure::run::verdict::{VerdictOutcome, exit_code, verdict},
    redact::{HIDDEN, Redact},
    report::results::{ResultsFile, Results},
};
use serde_json::{Value, json};
use unit_tests::event_log::{EventLog, beginnings, ending, endings};

fn results(name: &str) -> Value {
    serde_json::to_value(Results::from(&ending(name).state())).unwrap()
}

/// What `{level,recipe,ref,results,rungs,stages:(.stages|map({name,status,summary}))}` selects.
fn selected(results: &Value) -> Value {
    let stages = results["stages"].as_array().expect("stages");
    let stages: Vec<Value> = stages
        .iter()
        .map(|stage| json!({ "name": stage["name"], "status": stage["status"], "summary": stage["summary"] }))
        .collect();
    let of = |field: &str| results[field].clone();
    json!({ "level": of("level"), "recipe": of("recipe"), "ref": of("ref"), "results": of("results"), "rungs": of("rungs"), "stages": stages })
}

#[test]
fn the_predecessors_queries_answer() {
    let red = results("red");
    let skip = "skip";
    let unver = |name: &str| json!({ "name": name, "status": "unver", "summary": "did not run" });
    let pass = |name: &str| json!({ "name": name, "status": "pass", "summary": "" });
    assert_eq!(
        selected(&red),
        json!({
            "level": 0,
            "recipe": "hello",
            "ref": "0123456789012345678901234567890123456789",
            "results": { "install": "fail", "upgrade": skip, "backup": skip, "restore": skip, "custom": skip },
            "rungs": { "install": "fail", "upgrade": "unver", "backup_restore": "unver", "custom": "unver", "lint": "pass" },
            "stages": [
                pass("provision"),
                { "name": "deploy", "status": "fail", "summary": "the fault of recipe" },
                unver("verify-compose"),
                unver("http"),
                unver("stable"),
                pass("lint"),
                unver("screenshot"),
                pass("undeploy"),
                pass("cleanup"),
                unver("compare-host"),
            ],
        })
    );
    assert!(red["finished"].is_string(), "{red}");
    let mut cut = ending("red");
    cut.events.pop();
    assert_eq!(serde_json::to_value(Results::from(&cut.state())).unwrap()["finished"], Value::Null);
}

#[test]
fn what_is_not_known_yet_is_null() {
    let green = results("green");
    for field in ["pr", "trigger", "base", "snapshot", "customization", "screenshot", "load"] {
        assert_eq!(green[field], Value::Null, "{field}");
    }
    assert_eq!(green["base_reason"], "no upgrade was asked for");
}

#[test]
fn a_failure_is_told_with_its_owner_and_its_quotes_apart() {
    let red = results("red");
    assert_eq!(red["owner"], "recipe");
    let reason = &red["verdict"]["reasons"][0];
    assert_eq!(reason["sentence"], "the fault of recipe");
    assert_eq!(reason["excerpt"].as_array().map(Vec::len), Some(1), "{reason}");
    assert_eq!(results("green")["owner"], Value::Null);
}

#[test]
fn tasks_are_told_with_their_moments() {
    let red = results("red");
    let changes = red["tasks"][0]["changes"].as_array().unwrap();
    let states: Vec<&str> = changes.iter().map(|change| change["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pending", "starting", "failed"]);
    let moments: Vec<u64> = changes.iter().map(|change| change["at_ms"].as_u64().unwrap()).collect();
    assert!(moments.is_sorted() && moments[0] > red["stages"][1]["started_ms"].as_u64().unwrap(), "{moments:?}");
    assert_eq!((&changes[2]["exit"], &changes[2]["error"]), (&json!(3), &json!("task: non-zero exit (3)")));
}

#[test]
fn an_images_digest_stands_apart() {
    assert_eq!(results("green")["images"]["app"], json!({ "image": "nginx:1", "digest": "sha256:00" }));
}

#[test]
fn skips_and_flags_say_only_what_is_known() {
    let green = results("green");
    assert_eq!(green["skips"], json!({ "intentional": {}, "unintentional": ["upgrade", "backup_restore", "custom"] }));
    for (name, clean) in [("green", true), ("green with leaked objects", false), ("harness failed", false)] {
        assert_eq!(results(name)["flags"]["clean_teardown"], clean, "{name}");
    }
}

#[test]
fn nothing_is_green_before_the_end() {
    for (name, state) in beginnings().filter(|(_, state)| state.finished.is_none()) {
        let results = Results::from(&state);
        assert_ne!(results.verdict.outcome, VerdictOutcome::Green, "{name}");
        assert_ne!(results.exit_code, 0, "{name}");
        assert!(!results.verdict.reasons.is_empty(), "{name}");
    }
}

#[test]
fn a_run_that_has_ended_is_told_as_it_ended() {
    for (name, log) in endings() {
        let state = log.state();
        let results = Results::from(&state);
        assert_eq!((results.verdict, results.exit_code), (verdict(&state), exit_code(&state).code()), "{name}");
    }
}

#[test]
fn a_secret_that_was_learnt_too_late_is_hidden_and_owned_up_to() {
    let secret = "hunter2-hunter2";
    let log =
        EventLog::planned(&[Tier::Install]).then(harness::pure::run::event::Kind::Warned { text: format!("password={secret}") });
    let results = Results::from(&log.ends().state());
    let redact = Redact::new();
    let before = results.clone().searched(&redact);
    assert!(before.flags.no_secret_leak, "nothing was learnt, so nothing is known to have leaked");
    redact.learn(secret);
    let after = results.searched(&redact);
    assert!(!after.flags.no_secret_leak);
    assert_eq!(after.warnings, [format!("password={HIDDEN}")]);
    assert_eq!(after.digest, after.computed_digest());
}

#[test]
fn a_secret_that_is_a_word_of_the_schema_leaves_the_document_whole() {
    let redact = Redact::new();
    redact.learn("install");
    let results = Results::from(&ending("green").state()).searched(&redact);
    assert!(!results.flags.no_secret_leak);
    assert_eq!(results.requested, [Tier::Install]);
}

#[test]
fn the_file_says_that_no_secret_leaked_when_the_log_hid_it() {
    let state = tempfile::tempdir().unwrap();
    let folder = Folder::of(state.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
    let redact = Arc::new(Redact::new());
    redact.learn("hunter2-hunter2");
    let log = Log::new(journal, redact.clone(), vec![Box::new(ResultsFile::in_folder(folder.clone(), redact))]);
    for event in ending("green").events {
        log.record(event.kind);
    }
    log.record(harness::pure::run::event::Kind::Warned { text: "password=hunter2-hunter2".into() });
    log.record(harness::pure::run::event::Kind::RunFinished);
    let text = std::fs::read_to_string(folder.root().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert!(!text.contains("hunter2") && text.contains(HIDDEN), "{text}");
    assert_eq!(results["flags"]["no_secret_leak"], true);
}
