//! Services compared with the marks of a deploy: tables over one recorded observation, changed in one respect each.

use std::time::Duration;

use harness::pure::{
    host::converge::{
        Evaluation, Goal, Marks, Observation, SpecDigest, TaskState, UpdateState, UpdateView, Watch, evaluate, observe_into,
        roll_budget,
    },
    run::verdict::format_gap,
};
use unit_tests::recording::{Recording, brief};

fn settled() -> Observation {
    Recording::load("healthy").observations.pop().unwrap()
}

/// The evaluation of an observation that `change` changed after the marks were taken.
fn evaluated(change: impl FnOnce(&mut Observation)) -> Evaluation {
    let mut observation = settled();
    let marks = Marks::of(&observation.services);
    let mut before = marks.clone();
    before.0.values_mut().for_each(|(_, digest)| *digest = SpecDigest("base".into()));
    change(&mut observation);
    let watch = observe_into(Watch::new(Goal::Upgrade(marks)).coming_from(before), observation.clone());
    evaluate(&watch, observation.at)
}

fn set_spec(observation: &mut Observation, digest: &str) {
    observation.services.values_mut().for_each(|view| view.spec = SpecDigest(digest.into()));
}

fn set_update(observation: &mut Observation, state: UpdateState, message: &str) {
    observation.services.values_mut().for_each(|view| view.update = Some(UpdateView { state, message: message.into() }));
}

#[test]
fn base_again_without_a_rollback_is_reverted() {
    assert_eq!(brief(&evaluated(|observation| set_spec(observation, "base"))), "reverted app");
}

/// The reason that a report gives for an evaluation that cannot be made.
fn reason(evaluation: &Evaluation) -> String {
    match evaluation {
        Evaluation::Unverified(gap) => format_gap(gap),
        other => panic!("{other:?}"),
    }
}

#[test]
fn interference_is_reported_in_a_whole_sentence() {
    let foreign = evaluated(|observation| set_spec(observation, "foreign"));
    let removed = evaluated(|observation| observation.services.clear());
    let by_hand = evaluated(|observation| set_update(observation, UpdateState::RollbackStarted, "manually requested rollback"));

    let sentences = [foreign, removed, by_hand].map(|evaluation| reason(&evaluation));
    assert_eq!(
        sentences,
        [
            "service judge-healthy_app was changed after the deploy, and not by the run",
            "service judge-healthy_app was removed, and not by the run",
            "service judge-healthy_app was rolled back by hand",
        ]
    );
}

#[test]
fn rollback_of_swarm_fails() {
    for state in [UpdateState::RollbackStarted, UpdateState::RollbackPaused, UpdateState::RollbackCompleted] {
        let rolled = evaluated(|observation| {
            set_spec(observation, "base");
            set_update(observation, state, "update rolled back due to failure");
        });
        assert_eq!(brief(&rolled), "rolled-back app", "{state:?}");
    }
}

#[test]
fn rollback_that_ended_before_it_was_observed_names_its_task() {
    let mut observation = settled();
    let watch = observe_into(Watch::new(Goal::Upgrade(Marks::of(&observation.services))), observation.clone());
    set_spec(&mut observation, "base");
    set_update(&mut observation, UpdateState::RollbackCompleted, "rollback completed");
    let view = observation.services.values_mut().next().unwrap();
    let mut old = view.tasks[0].clone();
    old.id = "old".parse().unwrap();
    let tried = &mut view.tasks[0];
    (tried.current, tried.state, tried.exit) = (false, TaskState::Complete, Some(0));
    let (name, task) = (view.tasks[0].id.clone(), view.tasks[0].container.clone());
    view.tasks.insert(0, old);
    observation.at = observation.at.after(Duration::from_secs(1));
    let watch = observe_into(watch, observation.clone());
    let Evaluation::Failed(failures) = evaluate(&watch, observation.at) else { panic!("a rollback fails") };
    let why = format!("its new task exited with 0 (task {name}), so Swarm rolled the update back");
    assert!(failures[0].message.contains(&why), "{}", failures[0].message);
    let service = observation.services.keys().next().unwrap();
    let decisive = watch.decisive_task(service).unwrap();
    assert_eq!((decisive.task, decisive.container), (name, task.as_deref()));
}

#[test]
fn stale_pause_does_not_fail_slots_that_are_all_current() {
    assert!(matches!(
        evaluated(|observation| set_update(observation, UpdateState::Paused, "update paused")),
        Evaluation::Waiting { .. }
    ));
}

#[test]
fn budget_of_an_update_comes_from_its_own_numbers() {
    let mut view = settled().services.into_values().next().unwrap();
    view.roll.parallelism = 2;
    view.roll.delay = Duration::from_secs(10);
    view.roll.monitor = Duration::from_secs(5);
    assert_eq!(roll_budget(&view, 5), Duration::from_secs(3 * 10 + 11));
    view.roll.parallelism = 0;
    assert_eq!(roll_budget(&view, 5), Duration::from_secs(10 + 11));
}
