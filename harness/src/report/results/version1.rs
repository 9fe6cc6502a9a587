//! Results of version 1 in the form of this version.
//!
//! Version 1 had one stage for each step, under earlier names of steps, and neither summaries of tiers nor the alias
//! `functional`.

use serde_json::{Map, Value, json};

use crate::{
    model::{outcome::Tier, rung::Rung},
    pure::run::plan::step_ids,
};

/// The fields of version 1 that have another name now.
const RENAMED_FIELDS: [(&str, &str); 1] = [("hygiene", "cleanup")];

/// Results of version 1 as results of this version. A value that version 1 did not know is null.
pub(super) fn upgraded(results: Value) -> Value {
    let Value::Object(mut fields) = results else { return results };
    fields.insert("schema".into(), super::SCHEMA.into());
    for (before, now) in RENAMED_FIELDS {
        if let Some(value) = fields.remove(before) {
            fields.insert(now.into(), value);
        }
    }
    if let Some(Value::Object(rungs)) = fields.get_mut("rungs") {
        let custom = rungs.get("custom").cloned().unwrap_or_default();
        rungs.insert("functional".into(), custom);
    }
    if let Some(Value::Array(steps)) = fields.remove("stages") {
        let (stages, others) = grouped(steps, &fields);
        fields.insert("stages".into(), stages);
        fields.insert("steps".into(), others);
    }
    for list in ["tasks", "evidence"] {
        for entry in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            rename(entry, "step");
        }
    }
    Value::Object(fields)
}

/// The steps by stage, and those that belong to none.
fn grouped(steps: Vec<Value>, fields: &Map<String, Value>) -> (Value, Value) {
    let tiers = Tier::ALL.into_iter().map(|tier| (tier.name(), Rung::of(tier)));
    let mut of_stages: Vec<(&str, Rung, Vec<Value>)> =
        tiers.chain([(Rung::Lint.name(), Rung::Lint)]).map(|(name, rung)| (name, rung, Vec::new())).collect();
    let mut others = Vec::new();
    for mut step in steps {
        rename(&mut step, "name");
        let tier = step.as_object_mut().and_then(|step| step.remove("tier"));
        let lint = [step_ids::LINT, step_ids::LINT_BASE].iter().any(|id| step["name"] == *id);
        let stage = tier.as_ref().and_then(Value::as_str).or(lint.then_some(Rung::Lint.name()));
        match of_stages.iter_mut().find(|(name, ..)| Some(*name) == stage) {
            Some((_, _, of_stage)) => of_stage.push(step),
            None => others.push(step),
        }
    }
    let stages = of_stages.into_iter().map(|(name, rung, steps)| stage(name, rung, steps, fields));
    (stages.collect(), others.into())
}

fn stage(name: &str, rung: Rung, steps: Vec<Value>, fields: &Map<String, Value>) -> Value {
    let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    let status = if rung == Rung::Lint { &field("rungs")[name] } else { &field("results")[name] };
    let status = status.as_str().unwrap_or("unver");
    let explains = match status {
        "fail" | "unver" => steps.iter().find(|step| step["status"] == status),
        _ => None,
    };
    let summary = match (status, explains) {
        ("skip", _) => field("skips")["intentional"][rung.name()].as_str().unwrap_or("was not asked for").into(),
        (_, Some(step)) => step["summary"].clone(),
        (_, None) => "".into(),
    };
    let started = steps.iter().filter_map(|step| step["started_ms"].as_u64()).min();
    let end = steps.iter().filter_map(|step| Some(step["started_ms"].as_u64()? + step["duration_ms"].as_u64()?)).max();
    json!({
        "name": name,
        "status": status,
        "summary": summary,
        "owner": explains.map_or(Value::Null, |step| step["owner"].clone()),
        "started_ms": started,
        "duration_ms": end.zip(started).map_or(0, |(end, start)| end - start),
        "steps": steps,
    })
}

/// Puts the name of a step that is called otherwise now into `field`.
fn rename(entry: &mut Value, field: &str) {
    if let Some(name) = entry.get_mut(field)
        && let Some(now) = name.as_str().and_then(step_ids::renamed)
    {
        *name = now.into();
    }
}
