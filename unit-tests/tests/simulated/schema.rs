//! The JSON Schema of results accepts results and nothing else.

use std::sync::LazyLock;

use harness::report::{results::Results, results_schema};
use jsonschema::Validator;
use serde_json::{Value, json};
use unit_tests::event_log::beginnings;

/// Whether the schema accepts a document, or why not.
pub(crate) fn validate(document: &Value) -> Result<(), String> {
    static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(results_schema().as_value()).unwrap());
    VALIDATOR.validate(document).map_err(|error| error.to_string())
}

fn results() -> Value {
    let (_, state) = beginnings().find(|(name, _)| name.starts_with("red, cut after 20")).unwrap();
    serde_json::to_value(Results::from(&state)).unwrap()
}

#[test]
fn results_of_any_run_at_any_moment_are_valid() {
    let validator = jsonschema::validator_for(results_schema().as_value()).unwrap();
    for (name, state) in beginnings() {
        let results = Results::from(&state);
        let document = serde_json::to_value(&results).unwrap();
        let faults: Vec<String> = validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
        let read: Results = serde_json::from_value(document).unwrap();
        assert_eq!(read, results, "{name}: results are read as they were written");
        assert_eq!(results.digest, results.computed_digest(), "{name}");
    }
}

#[test]
fn document_without_a_field_is_refused() {
    let whole = results();
    validate(&whole).unwrap();
    let fields: Vec<String> = whole.as_object().unwrap().keys().cloned().collect();
    for field in fields {
        let mut cut = whole.clone();
        cut.as_object_mut().unwrap().remove(&field);
        assert!(validate(&cut).is_err(), "results without {field}");
    }
}

#[test]
fn document_with_an_unknown_word_or_number_is_refused() {
    for (place, value) in [
        ("/stages/0/status", json!("fine")),
        ("/stages/0/steps/0/status", json!("fine")),
        ("/rungs/install", json!("green")),
        ("/results/install", json!("passed")),
        ("/verdict/outcome", json!("purple")),
        ("/level", json!(6)),
        ("/level", json!("0")),
        ("/digest", json!("sha256:0")),
        ("/tasks/0/changes/0/state", json!("asleep")),
        ("/flags/clean_teardown", json!(null)),
    ] {
        let mut wrong = results();
        *wrong.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
        assert!(validate(&wrong).is_err(), "{place}");
    }
}
