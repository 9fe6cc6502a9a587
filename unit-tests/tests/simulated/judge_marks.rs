//! What the marks of a deploy say against what runs: tables over one recorded look, changed in one respect each.

use std::time::Duration;

use harness::{
    model::outcome::Gap,
    pure::host::converge::{
        Evaluation, Goal, Marks, Observation, SpecDigest, TaskState, UpdateState, UpdateView, Watch, evaluate, roll_budget, see,
    },
};
use unit_tests::recording::{Recording, brief};

fn settled_look() -> Observation {
    Recording::load("healthy").observations.pop().unwrap()
}

/// The evaluation over a look that was changed by `change` after the marks were taken.
fn judged(change: impl FnOnce(&mut Observation)) -> Evaluation {
    let mut look = settled_look();
    let marks = Marks::of(&look.services);
    let mut before = marks.clone();
    before.0.values_mut().for_each(|(_, digest)| *digest = SpecDigest("base".into()));
    change(&mut look);
    let watch = see(Watch::new(Goal::Upgrade(marks)).coming_from(before), look.clone());
    judge(&watch, look.at)
}

fn set_spec(look: &mut Observation, digest: &str) {
    look.services.values_mut().for_each(|view| view.spec = SpecDigest(digest.into()));
}

fn set_word(look: &mut Observation, state: UpdateState, message: &str) {
    look.services.values_mut().for_each(|view| view.update = Some(UpdateView { state, message: message.into() }));
}

#[test]
fn the_base_again_without_a_word_is_reverted() {
    assert_eq!(brief(&judged(|look| set_spec(look, "base"))), "reverted app");
}

#[test]
fn a_spec_that_nobody_knows_is_interference() {
    assert!(matches!(judged(|look| set_spec(look, "foreign")), Evaluation::Unverified(Gap::Interfered { .. })));
    assert!(matches!(judged(|look| look.services.clear()), Evaluation::Unverified(Gap::Interfered { .. })));
}

#[test]
fn a_rollback_counts_by_swarms_word_and_a_manual_one_is_interference() {
    for state in [UpdateState::RollbackStarted, UpdateState::RollbackPaused, UpdateState::RollbackCompleted] {
        let rolled = judged(|look| {
            set_spec(look, "base");
            set_word(look, state, "update rolled back due to failure");
        });
        assert_eq!(brief(&rolled), "rolled-back app", "{state:?}");
    }
    let manual = judged(|look| set_word(look, UpdateState::RollbackStarted, "manually requested rollback"));
    assert!(matches!(manual, Evaluation::Unverified(Gap::Interfered { .. })));
}

#[test]
fn a_rollback_that_was_over_before_it_was_seen_still_names_its_task() {
    let mut look = settled_look();
    let watch = see(Watch::new(Goal::Upgrade(Marks::of(&look.services))), look.clone());
    set_spec(&mut look, "base");
    set_word(&mut look, UpdateState::RollbackCompleted, "rollback completed");
    let view = look.services.values_mut().next().unwrap();
    let mut old = view.tasks[0].clone();
    old.id = "old".parse().unwrap();
    let tried = &mut view.tasks[0];
    (tried.current, tried.state, tried.exit) = (false, TaskState::Complete, Some(0));
    let (name, task) = (view.tasks[0].id.clone(), view.tasks[0].container.clone());
    view.tasks.insert(0, old);
    look.at = look.at.after(Duration::from_secs(1));
    let watch = see(watch, look.clone());
    let Evaluation::Failed(failures) = judge(&watch, look.at) else { panic!("a rollback fails") };
    let why = format!("because its new task {name} ended with exit 0; what was there before runs again");
    assert!(failures[0].message.contains(&why), "{}", failures[0].message);
    let service = look.services.keys().next().unwrap();
    let telling = watch.telling_task(service).unwrap();
    assert_eq!((telling.task, telling.container), (&name, task.as_deref()));
}

#[test]
fn a_stale_pause_says_nothing_against_slots_that_are_all_current() {
    assert!(matches!(judged(|look| set_word(look, UpdateState::Paused, "update paused")), Evaluation::Waiting { .. }));
}

#[test]
fn the_budget_of_a_roll_comes_from_its_own_numbers() {
    let mut view = settled_look().services.into_values().next().unwrap();
    view.roll.parallelism = 2;
    view.roll.delay = Duration::from_secs(10);
    view.roll.monitor = Duration::from_secs(5);
    assert_eq!(roll_budget(&view, 5), Duration::from_secs(3 * 10 + 11));
    view.roll.parallelism = 0;
    assert_eq!(roll_budget(&view, 5), Duration::from_secs(10 + 11));
}
