//! Changes of tasks and tails of files in the journal, and journals without them.

use std::sync::Arc;

use harness::{
    adapters::clock::SystemClock,
    engine::log::Log,
    journal::{self, Journal},
    model::outcome::{EXCERPT_LINES, EXCERPT_WIDTH, Outcome, Owner},
    pure::{
        host::converge::TaskState,
        run::{
            event::{Kind, MOST_TASK_CHANGES, TAIL_BYTES, TaskSeen, tail},
            plan::StepId,
            state::{RunState, fold},
        },
    },
    redact::Redact,
};
use unit_tests::event_log::{failure, task};

fn deploy() -> StepId {
    StepId("deploy".into())
}

/// The state that is read from a journal after `record`.
fn recorded(record: impl FnOnce(&Log)) -> RunState {
    let dir = tempfile::tempdir().unwrap();
    let run = "20261121-101502-aebagbaf".parse().unwrap();
    let log =
        Log::new(Journal::create(dir.path(), run, Arc::new(SystemClock::start())).unwrap(), Arc::new(Redact::new()), vec![]);
    record(&log);
    let folded = log.state();
    drop(log);
    let read = journal::read(dir.path()).unwrap();
    let state = read.events.iter().fold(RunState::default(), fold);
    assert_eq!(state.tasks, folded.tasks, "the state that is read is the state that was folded");
    state
}

#[test]
fn only_changes_of_a_task_are_recorded() {
    let observations = [
        task(TaskState::Pending, None, ""),
        task(TaskState::Pending, None, ""),
        task(TaskState::Pending, None, "no suitable node"),
        task(TaskState::Running, None, ""),
        task(TaskState::Running, None, ""),
        task(TaskState::Failed, None, ""),
        task(TaskState::Failed, Some(3), ""),
    ];
    let state = recorded(|log| observations.into_iter().for_each(|seen| log.observe_tasks(&deploy(), [seen])));
    let changes: Vec<_> =
        state.tasks[0].changes.iter().map(|change| (change.state, change.exit, change.error.as_str())).collect();
    assert_eq!(
        changes,
        [
            (TaskState::Pending, None, ""),
            (TaskState::Pending, None, "no suitable node"),
            (TaskState::Running, None, ""),
            (TaskState::Failed, None, ""),
            (TaskState::Failed, Some(3), ""),
        ]
    );
}

#[test]
fn changes_of_tasks_are_limited_with_one_warning() {
    let seen = |number: usize| TaskSeen { task: format!("t{number}").parse().unwrap(), ..task(TaskState::Running, None, "") };
    let state = recorded(|log| {
        for round in 0..4 {
            log.observe_tasks(&deploy(), (0..MOST_TASK_CHANGES / 3 + 1).map(|number| seen(round * MOST_TASK_CHANGES + number)));
        }
    });
    assert_eq!(state.tasks.len(), MOST_TASK_CHANGES);
    assert_eq!(state.warnings.len(), 1, "{:?}", state.warnings);
}

#[test]
fn journal_without_tails_and_excerpts_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"seq":1,"at":"2026-11-21T10:15:02.120Z","mono":0,"event":"evidence-kept","step":"deploy","file":"evidence/deploy.txt","what":"logs"}"#,
        r#"{"seq":2,"at":"2026-11-21T10:15:02.220Z","mono":100,"event":"step-finished","step":"deploy","outcome":{"outcome":"failed","detail":{"cause":{"cause":"assertion"},"owner":"recipe","message":"no"}}}"#,
        r#"{"seq":3,"at":"2026-11-21T10:15:02.320Z","mono":200,"event":"of-a-time-to-come","step":"deploy"}"#,
    ];
    std::fs::write(dir.path().join(journal::FILE), lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let read = journal::read(dir.path()).unwrap();
    let state = read.events.iter().fold(RunState::default(), fold);
    assert_eq!((state.evidence[0].tail.as_str(), read.events.len()), ("", 2), "{read:?}");
    let Some(Outcome::Failed(failure)) = state.steps[&deploy()].outcome() else { panic!("{state:?}") };
    assert_eq!((failure.message.as_str(), failure.excerpt.len()), ("no", 0));
}

#[test]
fn tail_is_whole_lines_and_never_too_long() {
    let line = "12345678é\n";
    for (text, expected) in [
        (String::new(), String::new()),
        ("one\ntwo\n\n".into(), "one\ntwo".into()),
        (line.repeat(1000), line.repeat(TAIL_BYTES / line.len()).trim_end().to_owned()),
        ("é".repeat(TAIL_BYTES), "é".repeat(TAIL_BYTES / 2)),
        (format!("x\n{}", "y".repeat(TAIL_BYTES)), "y".repeat(TAIL_BYTES)),
    ] {
        let got = tail(&text);
        assert!(got.len() <= TAIL_BYTES && got == expected, "{} bytes of {} of {text:.20}…", got.len(), expected.len());
    }
}

#[test]
fn excerpt_is_the_last_lines_that_are_not_empty() {
    let quoting = |text: &str| failure(Owner::Recipe).with_output(text).excerpt;
    assert_eq!(quoting(""), [""; 0]);
    assert_eq!(quoting("one\r\n\n  two  \n\n"), ["one", "  two"]);
    let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(quoting(&many.join("\n")), many[100 - EXCERPT_LINES..]);
    assert_eq!(quoting(&"é".repeat(EXCERPT_WIDTH + 1)), [format!("{}…", "é".repeat(EXCERPT_WIDTH))]);
    assert_eq!(quoting(&"é".repeat(EXCERPT_WIDTH)), ["é".repeat(EXCERPT_WIDTH)]);
    assert_eq!(failure(Owner::Recipe).with_output("a\nb").with_excerpt(), "the fault of recipe; its last lines:\n  a\n  b");
    let seen = Kind::TaskChanged { step: deploy(), seen: task(TaskState::Running, None, "") };
    assert!(!seen.durable(), "an observation need not be durable");
}
