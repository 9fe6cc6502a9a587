//! `results.json`: its fields, its digest and its filter.

use std::sync::Arc;

use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::log::Log,
    journal::Journal,
    model::{load::Load, outcome::Tier},
    ports::RunFolder,
    pure::run::{
        event::{CleanedBy, Kind, Note},
        verdict::{VerdictOutcome, exit_code, verdict},
    },
    redact::{MASK, Redact},
    report::{
        reporters,
        results::{Results, Status},
    },
};
use serde_json::{Value, json};
use unit_tests::event_log::{EventLog, beginnings, ending, endings};

fn results(name: &str) -> Value {
    serde_json::to_value(Results::from(&ending(name).state())).unwrap()
}

/// The result of `{level,recipe,ref,results,rungs,stages:(.stages|map({name,status,summary}))}` in jq: `{name}` is the field of
/// that name, or null, and `map` goes over a list.
fn selected(results: &Value) -> Value {
    let fields = |of: &Value, names: &[&str]| -> serde_json::Map<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), of.get(*name).cloned().unwrap_or_default())).collect()
    };
    let mut selected = fields(results, &["level", "recipe", "ref", "results", "rungs"]);
    let stages = results["stages"].as_array().expect("a list");
    selected
        .insert("stages".into(), stages.iter().map(|stage| Value::from(fields(stage, &["name", "status", "summary"]))).collect());
    selected.into()
}

#[test]
fn predecessors_query_prints_tiers() {
    let stage = |name: &str, status: &str, summary: &str| json!({ "name": name, "status": status, "summary": summary });
    assert_eq!(
        selected(&results("red")),
        json!({
            "level": 0,
            "recipe": "hello",
            "ref": "0123456789012345678901234567890123456789",
            "results": { "install": "fail", "upgrade": "skip", "backup": "skip", "restore": "skip", "custom": "skip" },
            "rungs": {
                "install": "fail", "upgrade": "unver", "backup_restore": "unver", "functional": "unver", "custom": "unver", "lint": "pass",
            },
            "stages": [
                stage("install", "fail", "the fault of recipe"),
                stage("upgrade", "skip", "was not asked for"),
                stage("backup", "skip", "was not asked for"),
                stage("restore", "skip", "was not asked for"),
                stage("custom", "skip", "was not asked for"),
                stage("lint", "pass", ""),
            ],
        })
    );
}

#[test]
fn stages_are_the_tiers_and_lint_at_any_moment_of_any_run() {
    for (name, state) in beginnings() {
        let results = Results::from(&state);
        let stages: Vec<&str> = results.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(stages, ["install", "upgrade", "backup", "restore", "custom", "lint"], "{name}");
        assert_eq!(results.rungs.functional, results.rungs.custom, "{name}");
        for stage in results.stages.iter().filter(|stage| stage.name != "lint") {
            assert_eq!(results.results[&stage.name], stage.status, "{name}: {}", stage.name);
            assert_eq!(stage.summary.is_empty(), stage.status == Status::Pass, "{name}: {}: {:?}", stage.name, stage.summary);
        }
        let planned = state.plan.iter().flat_map(|plan| &plan.steps).count();
        assert_eq!(results.all_steps().count(), planned, "{name}: each step is there once");
    }
}

#[test]
fn steps_stand_in_their_stage_or_beside_the_stages() {
    let red = results("red");
    let names = |steps: &Value| -> Vec<String> {
        steps.as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&red["stages"][0]["steps"]), ["provision", "deploy", "verify-compose", "http", "stable", "still-stable"]);
    assert_eq!(names(&red["stages"][5]["steps"]), ["lint"]);
    assert_eq!(names(&red["steps"]), ["screenshot", "undeploy", "cleanup", "compare-host"]);
    assert_eq!(red["stages"][0]["owner"], "recipe");
}

#[test]
fn run_that_has_not_ended_has_no_time_of_its_end() {
    assert!(results("red")["finished"].is_string());
    let mut cut = ending("red");
    cut.events.pop();
    assert_eq!(serde_json::to_value(Results::from(&cut.state())).unwrap()["finished"], Value::Null);
}

#[test]
fn origin_of_a_run_is_that_of_its_request_build_and_machine() {
    let mut log = EventLog::begun(&[Tier::Install]).noted(Note::Load { load: Load::parse("0.20 0.18 1.00").unwrap() });
    if let Kind::RunStarted { request, commit, .. } = &mut log.events[0].kind {
        (request.pr, request.trigger) = (Some("12".into()), Some("!testme".into()));
        *commit = Some("abc".into());
    }
    let results = serde_json::to_value(Results::from(&log.state())).unwrap();
    assert_eq!((&results["pr"], &results["trigger"]), (&json!("12"), &json!("!testme")));
    assert_eq!(results["load"], json!({ "one": 0.2, "five": 0.18, "fifteen": 1.0 }));
    assert_eq!(results["harness"], json!({ "version": "0.0.0", "commit": "abc" }));
}

#[test]
fn unknown_value_is_null() {
    let green = results("green");
    for field in ["pr", "trigger", "base", "snapshot", "customization", "screenshot", "load"] {
        assert_eq!(green[field], Value::Null, "{field}");
    }
    assert_eq!(green["base_reason"], "no upgrade was asked for");
}

#[test]
fn failure_has_its_owner_and_its_excerpt_apart() {
    let red = results("red");
    assert_eq!(red["owner"], "recipe");
    let reason = &red["verdict"]["reasons"][0];
    assert_eq!(reason["sentence"], "the fault of recipe");
    assert_eq!(reason["excerpt"].as_array().map(Vec::len), Some(1), "{reason}");
    assert_eq!(results("green")["owner"], Value::Null);
}

#[test]
fn tasks_have_their_states_with_the_time() {
    let red = results("red");
    let changes = red["tasks"][0]["changes"].as_array().unwrap();
    let states: Vec<&str> = changes.iter().map(|change| change["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pending", "starting", "failed"]);
    let moments: Vec<u64> = changes.iter().map(|change| change["at_ms"].as_u64().unwrap()).collect();
    assert!(moments.is_sorted() && moments[0] > red["stages"][0]["steps"][1]["started_ms"].as_u64().unwrap(), "{moments:?}");
    assert_eq!((&changes[2]["exit"], &changes[2]["error"]), (&json!(3), &json!("task: non-zero exit (3)")));
}

#[test]
fn digest_of_an_image_stands_apart() {
    assert_eq!(results("green")["images"]["app"], json!({ "image": "nginx:1", "digest": "sha256:00" }));
}

#[test]
fn skips_and_flags_have_only_known_facts() {
    let green = results("green");
    assert_eq!(green["skips"], json!({ "intentional": {}, "unintentional": ["upgrade", "backup_restore", "custom"] }));
    for (name, clean) in [("green", true), ("green with leaked objects", false), ("harness failed", false)] {
        assert_eq!(results(name)["flags"]["clean_teardown"], clean, "{name}");
    }
}

#[test]
fn results_of_a_newer_schema_are_refused() {
    let error = harness::report::results::parse(r#"{"schema": 3}"#).unwrap_err().to_string();

    assert!(error.contains("version 3 of the schema, and this taster knows versions up to 2"), "{error}");
}

#[test]
fn killed_run_with_leftovers_of_its_cleanup_ends_as_leaked() {
    let left = vec!["what unreadable lines of the journal may have claimed".to_owned()];
    let log = EventLog::planned(&[Tier::Install]).then(Kind::CleanedAfter { by: CleanedBy::Janitor, removed: 0, left });

    let results = Results::from(&log.state());

    assert_eq!((results.exit_code, results.verdict.outcome), (4, VerdictOutcome::Inconclusive));
}

#[test]
fn run_is_not_green_before_its_end() {
    for (name, state) in beginnings().filter(|(_, state)| state.finished.is_none()) {
        let results = Results::from(&state);
        assert_ne!(results.verdict.outcome, VerdictOutcome::Green, "{name}");
        assert_ne!(results.exit_code, 0, "{name}");
        assert!(!results.verdict.reasons.is_empty(), "{name}");
    }
}

#[test]
fn results_of_an_ended_run_have_its_verdict_and_exit_code() {
    for (name, log) in endings() {
        let state = log.state();
        let results = Results::from(&state);
        assert_eq!((results.verdict, results.exit_code), (verdict(&state), exit_code(&state).code()), "{name}");
    }
}

#[test]
fn secret_that_was_learnt_late_is_hidden_and_flagged() {
    let secret = "hunter2-hunter2";
    let log = EventLog::planned(&[Tier::Install]).then(Kind::Warned { text: format!("password={secret}") });
    let results = Results::from(&log.ends().state());
    let redact = Redact::new();
    let before = results.clone().searched(&redact);
    assert!(before.flags.no_secret_leak, "no secret was learnt, so none is known to have leaked");
    redact.learn(secret);
    let after = results.searched(&redact);
    assert!(!after.flags.no_secret_leak);
    assert_eq!(after.warnings, [format!("password={MASK}")]);
    assert_eq!(after.digest, after.computed_digest());
}

#[test]
fn secret_that_is_a_word_of_the_schema_leaves_the_document_valid() {
    let redact = Redact::new();
    redact.learn("install");
    let results = Results::from(&ending("green").state()).searched(&redact);
    assert!(!results.flags.no_secret_leak);
    assert_eq!(results.requested, [Tier::Install]);
}

#[test]
fn file_is_free_of_a_secret_that_the_log_hid() {
    let state = tempfile::tempdir().unwrap();
    let folder = Folder::of(state.path(), &"20261121-101502-aebagbaf".parse().unwrap());
    let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
    let redact = Arc::new(Redact::new());
    redact.learn("hunter2-hunter2");
    let run_folder: Arc<dyn RunFolder> = Arc::new(folder.clone());
    let log = Log::new(journal, redact.clone(), reporters(&run_folder, &redact));
    for event in ending("green").events {
        log.record(event.kind);
    }
    log.record(Kind::Warned { text: "password=hunter2-hunter2".into() });
    folder.keep("deploy.txt", b"all is well").unwrap();
    log.record(Kind::RunFinished);
    let text = std::fs::read_to_string(folder.root().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert!(!text.contains("hunter2") && text.contains(MASK), "{text}");
    assert_eq!(results["flags"]["no_secret_leak"], true);
    let searched = serde_json::json!({
        "values": 1, "searched": ["results.json", "events.jsonl", "evidence/deploy.txt"], "found_in": [],
    });
    assert_eq!(results["secret_search"], searched);
    folder.keep("late.txt", b"password=hunter2-hunter2").unwrap();
    log.record(Kind::RunFinished);
    let results: Value = serde_json::from_slice(&folder.read("results.json".as_ref()).unwrap()).unwrap();
    assert_eq!(results["flags"]["no_secret_leak"], false, "it was written past the filter");
    assert_eq!(results["secret_search"]["found_in"], serde_json::json!(["evidence/late.txt"]));
}
