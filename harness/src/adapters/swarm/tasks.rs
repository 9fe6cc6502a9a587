//! Lists of tasks, also from an engine with more states than the library knows.

use std::collections::HashMap;

use bollard::{
    Docker,
    errors::Error,
    models::{Task, TaskState},
    query_parameters::ListTasksOptionsBuilder,
};
use serde_json::{Value, json};

use super::call::answer;
use crate::model::engine::SwarmError;

/// All tasks that match `filters`. `call` names the call in errors.
pub(super) async fn tasks(
    call: &str,
    docker: &Docker,
    filters: Option<&HashMap<String, Vec<String>>>,
) -> Result<Vec<Task>, SwarmError> {
    let options = filters.map(|filters| ListTasksOptionsBuilder::new().filters(filters).build());
    answer(call, async { lenient(docker.list_tasks(options).await) }).await
}

/// The engine's list, also with unknown values in single entries. The library's enums are strict, so one unknown state would fail
/// the whole list; such entries are read again without it.
fn lenient(answer: Result<Vec<Task>, Error>) -> Result<Vec<Task>, Error> {
    let (contents, message, column) = match answer {
        Err(Error::JsonDataError { contents, message, column }) => (contents, message, column),
        other => return other,
    };
    let entries: Result<Vec<Value>, _> = serde_json::from_str(&contents);
    let entries = match entries {
        Ok(entries) => entries,
        Err(_) => return Err(Error::JsonDataError { contents, message, column }),
    };
    let read = |mut entry: Value| {
        serde_json::from_value(entry.clone()).or_else(|_| {
            remove_unknown(&mut entry);
            serde_json::from_value(entry)
        })
    };
    entries.into_iter().map(read).collect::<Result<_, _>>().map_err(|_| Error::JsonDataError { contents, message, column })
}

/// Removes unknown states and all fields that are not read from a task. Such a task counts as new: it neither settles nor fails a
/// service, and it has not ended.
fn remove_unknown(task: &mut Value) {
    // After the removal of its service the labels name its stack.
    let labels = task.pointer("/Spec/ContainerSpec/Labels").cloned();
    let Some(fields) = task.as_object_mut() else { return };
    fields.retain(|key, _| {
        ["ID", "ServiceID", "Slot", "NodeID", "Status", "DesiredState", "JobIteration", "Version"].contains(&key.as_str())
    });
    let unknown = |state: &Value| serde_json::from_value::<TaskState>(state.clone()).is_err();
    if fields.get("DesiredState").is_some_and(unknown) {
        fields.remove("DesiredState");
    }
    if let Some(labels) = labels {
        fields.insert("Spec".to_owned(), json!({ "ContainerSpec": { "Labels": labels } }));
    }
    if let Some(status) = fields.get_mut("Status").and_then(Value::as_object_mut) {
        status.retain(|key, value| match key.as_str() {
            "State" => !unknown(value),
            "Err" | "ContainerStatus" => true,
            _ => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_state_is_dropped_and_the_list_is_read() {
        let contents = r#"[{"ID":"a","Status":{"State":"running"}},
            {"ID":"b","Slot":2,"Status":{"State":"meditating"},"DesiredState":"bliss",
            "Spec":{"ContainerSpec":{"Labels":{"of":"a stack"},"Isolation":"hermit"}}}]"#;
        let strict = serde_json::from_str::<Vec<Task>>(contents).unwrap_err();
        let unread = Error::JsonDataError { message: strict.to_string(), column: strict.column(), contents: contents.into() };
        let read = lenient(Err(unread)).unwrap();
        let state = |task: &Task| task.status.as_ref().and_then(|status| status.state);
        assert_eq!((state(&read[0]), read[0].id.as_deref()), (Some(TaskState::RUNNING), Some("a")));
        assert_eq!((state(&read[1]), read[1].slot, read[1].desired_state), (None, Some(2), None));
        let labels = read[1].spec.as_ref().and_then(|spec| spec.container_spec.as_ref()?.labels.as_ref()).unwrap();
        assert_eq!(labels["of"], "a stack");
    }
}
