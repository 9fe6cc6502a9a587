//! The time to render the page of a run, and its size.

use std::time::Instant;

use harness::{
    model::outcome::{Outcome, Owner, Tier},
    pure::{
        host::{converge::TaskState, inventory::CleanupResult},
        run::{
            event::{Kind, MOST_TASK_CHANGES, TAIL_BYTES, TaskSeen},
            plan::StepId,
        },
    },
    report::html::page,
};
use unit_tests::event_log::{EventLog, failure};

use crate::{
    Bench,
    table::{Spread, print_line, row},
};

/// A failed run with as much to tell as the journal of one holds: all changes of tasks that are recorded, a hundred changes of
/// what is waited for, twenty files of evidence with tails, and lists of objects that are longer than the page shows.
fn full() -> EventLog {
    let line = "2026-11-21T10:15:02.120Z level=error msg=\"cannot open <database>: connection refused\"\n";
    let step = || StepId("deploy".into());
    let states = [TaskState::Pending, TaskState::Preparing, TaskState::Starting, TaskState::Running, TaskState::Failed];
    let mut log = EventLog::planned(&[Tier::Install]).pass(&["provision"]).starts("deploy");
    for number in 0..MOST_TASK_CHANGES {
        let (task, state) = (number / states.len(), states[number % states.len()]);
        let (exit, error) = if state == TaskState::Failed { (Some(1), "task: non-zero exit (1)") } else { (None, "") };
        let (service, slot) = (format!("service{}", task % 12), Some(1));
        let task = format!("task{task}").parse().unwrap();
        let seen = TaskSeen { service, task, slot, state, exit, error: error.into() };
        log = log.then(Kind::TaskChanged { step: step(), seen });
    }
    for number in 0..100 {
        let waiting_for = (0..12).map(|service| format!("service{service}: starting {number}/1; exited with 1")).collect();
        log = log.then(Kind::Observed { step: step(), waiting_for });
    }
    for number in 0..20 {
        let (file, what) = (format!("evidence/{number}.txt").into(), "the log of a service".to_owned());
        let tail = line.repeat(TAIL_BYTES / line.len());
        log = log.then(Kind::EvidenceKept { step: step(), file, what, tail });
    }
    let failed = Outcome::Failed(failure(Owner::Recipe).with_output(&line.repeat(8)));
    let log = log.then(Kind::StepFinished { step: step(), outcome: failed }).pass(&["undeploy", "cleanup"]);
    let many = vec!["volume foreign_data changed".to_owned(); 1000];
    log.compared(CleanupResult {
        leaked: many.clone(),
        changed_bystanders: many.clone(),
        others: many,
        ..CleanupResult::default()
    })
    .ends()
}

pub(crate) fn made(_: &Bench) {
    let state = full().state();
    let mut took = Spread::default();
    let mut bytes = 0;
    for _ in 0..20 {
        let started = Instant::now();
        bytes = page(&state, None).unwrap().len();
        took.add(started.elapsed());
    }
    row("report.html (target: 200 ms)", &took);
    print_line(&format!("  {:<58} {} kB", "its size (target: 1000 kB)", bytes.div_ceil(1000)));
}
