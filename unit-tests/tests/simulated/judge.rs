//! The judge over recordings of real stacks: what it says and when, also when looks are lost, repeated or late, and that a
//! judge with one truth removed is caught.
//!
//! There is no test with the engine's clock an hour off, because there is nothing to put off: a look has one time, `Observation::at`,
//! which is our own monotonic clock's, and no view of a service, task or update has a field for a time of the engine's. A
//! judge that heeded one would not compile.

use std::time::Duration;

use harness::{
    model::{
        outcome::{Cause, Owner},
        time::Mono,
    },
    pure::host::converge::{Evaluation, Goal, Observation, TaskState, WATCHDOG},
};
use unit_tests::recording::{Evaluator, RealEvaluator, Recording, brief, replay};

/// Each recording with its evaluation and the time of it, in milliseconds since the recording began.
const EXPECTED: &[(&str, &str, u64)] = &[
    ("attempts-spent", "attempts-spent app exit 2", 4722),
    ("bad-mount", "crash-loop app", 3748),
    ("continued", "crash-loop app exit 6", 9534),
    ("crash-loop", "crash-loop app exit 3", 5337),
    ("crash-loop-beside", "crash-loop app exit 3", 6975),
    ("crash-loop-default", "crash-loop app exit 3", 13912),
    ("exited-for-good", "exited-for-good app", 2359),
    ("five", "settled", 20980),
    ("global", "settled", 5914),
    ("healthy", "settled", 6637),
    ("host-port", "held-resource app", 5135),
    ("image-missing", "image-missing app", 1732),
    ("job", "settled", 3357),
    ("never-healthy", "unhealthy app", 26692),
    ("no-node", "no-eligible-node app", 5012),
    ("no-node-replicated", "no-eligible-node app", 5096),
    ("one-shot", "settled", 4111),
    ("one-shot-beside", "settled", 6166),
    ("one-shot-fails", "attempts-spent job exit 4", 3920),
    ("paused", "paused app", 7074),
    ("redeployed", "settled", 19574),
    ("rolled-back", "rolled-back app", 11496),
    ("several", "settled", 7073),
    ("slow-start", "settled", 12523),
    ("start-first", "settled", 3041),
    ("unhealthy", "unhealthy app", 9024),
    ("waits-for-database", "settled", 27130),
    ("waits-for-probed-database", "settled", 29541),
    ("zero", "settled", 7),
];

type Make = fn(Goal) -> Box<dyn Evaluator>;

fn real(goal: Goal) -> Box<dyn Evaluator> {
    Box::new(RealEvaluator::new(goal))
}

/// What is wrong with a judge, by all recordings; empty when nothing.
fn complaints(make: Make) -> Vec<String> {
    let judged = EXPECTED.iter().map(|(name, said, at)| {
        let recording = Recording::load(name);
        let verdict = replay(&mut *make(recording.goal.clone()), &recording.observations);
        let (when, what) = verdict.map_or((0, "nothing".into()), |(when, evaluation)| (when.0, brief(&evaluation)));
        (what != *said || when != *at).then(|| format!("{name}: expected {said:?} at {at}, got {what:?} at {when}"))
    });
    judged.flatten().collect()
}

#[test]
fn every_recording_is_judged_right_and_in_time() {
    let wrong = complaints(real);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn at_least_twenty_recordings_are_replayed_and_none_is_forgotten() {
    let files = std::fs::read_dir(unit_tests::recording::folder()).unwrap().count();
    assert_eq!(files, EXPECTED.len());
    assert!(files >= 20);
}

#[test]
fn repeated_looks_change_nothing() {
    for (name, said, at) in EXPECTED {
        let recording = Recording::load(name);
        let twice: Vec<Observation> = recording.observations.iter().flat_map(|look| [look.clone(), look.clone()]).collect();
        let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &twice).expect(name);
        assert_eq!((brief(&evaluation).as_str(), when.0), (*said, *at), "{name}");
    }
}

#[test]
fn lost_looks_change_only_the_time_and_that_by_one_watchdog_at_most() {
    for (name, said, at) in EXPECTED {
        for keep in 2..5 {
            let recording = Recording::load(name);
            // What the last look shows goes on to be so, as far as the watchdog would see it again.
            let last = recording.observations.last().unwrap().clone();
            let mut looks: Vec<Observation> = recording.observations.into_iter().step_by(keep).collect();
            let pauses = [0, 1_000, 3_000, 6_000, 10_000];
            looks.extend(pauses.map(|more| Observation { at: last.at.after(Duration::from_millis(more)), ..last.clone() }));
            let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &looks).expect(name);
            assert_eq!(brief(&evaluation), *said, "{name} with each look number {keep} only");
            assert!(when.0 <= at + u64::try_from(WATCHDOG.as_millis()).unwrap(), "{name}: {} after {at}", when.0);
        }
    }
}

/// The looks, each up to so many milliseconds late, one more than the other, but still in their order.
fn late(looks: &[Observation], most: u64) -> Vec<Observation> {
    let mut looks = looks.to_vec();
    let mut last = Mono(0);
    for (number, look) in looks.iter_mut().enumerate() {
        let late = most * (number as u64 * 7 % 11) / 10;
        look.at = look.at.after(Duration::from_millis(late)).max(last);
        last = look.at;
    }
    looks
}

#[test]
fn late_looks_change_only_the_time_and_that_by_one_watchdog_at_most() {
    let watchdog = u64::try_from(WATCHDOG.as_millis()).unwrap();
    for (name, said, at) in EXPECTED {
        for most in [50, 300, 1_000, 3_000] {
            let recording = Recording::load(name);
            let mut looks = late(&recording.observations, most);
            // Windows that began late end late; by then the last look shows the same once more.
            let last = looks.last().unwrap().clone();
            looks.extend(
                [most, 2 * most].map(|more| Observation { at: last.at.after(Duration::from_millis(more)), ..last.clone() }),
            );
            let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &looks).expect(name);
            assert_eq!(brief(&evaluation), *said, "{name} with looks up to {most} ms late");
            assert!(when.0 <= at + watchdog, "{name} with looks up to {most} ms late: {} after {at}", when.0);
        }
    }
}

#[test]
fn when_our_own_clock_began_does_not_matter() {
    let hour = Duration::from_secs(3_600);
    for (name, said, at) in EXPECTED {
        let mut recording = Recording::load(name);
        recording.observations.iter_mut().for_each(|look| look.at = look.at.after(hour));
        let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &recording.observations).expect(name);
        assert_eq!((brief(&evaluation).as_str(), when), (*said, Mono(*at).after(hour)), "{name}");
    }
}

#[test]
fn what_is_waited_for_is_said_once_as_long_as_it_is_the_same() {
    let recording = Recording::load("several");
    let mut judge = RealEvaluator::new(recording.goal);
    let mut said: Vec<Vec<String>> = Vec::new();
    for look in &recording.observations {
        if let Evaluation::Waiting { on, .. } = judge.look(look.clone()) {
            said.push(on.into_iter().map(|blocker| blocker.why).collect());
        }
    }
    let looks = said.len();
    said.dedup();
    assert!(said.last().unwrap().iter().all(|why| why == "running, stable window of 5 s"), "{said:#?}");
    let mut different = said.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), said.len(), "nothing is said again after something else was: {said:#?}");
    assert!(said.len() < looks, "{} texts in {looks} looks", said.len());
}

/// A judge for which each running task is of the current spec.
struct RunningIsCurrent(RealEvaluator);

impl Evaluator for RunningIsCurrent {
    fn look(&mut self, mut look: Observation) -> Evaluation {
        for task in look.services.values_mut().flat_map(|view| &mut view.tasks) {
            task.current = task.state == TaskState::Running || task.current;
            if task.state == TaskState::Running {
                task.desired = TaskState::Running;
            }
        }
        self.0.look(look)
    }
}

/// A judge that has no window: what is up is stable.
struct NoWindow(RealEvaluator);

impl Evaluator for NoWindow {
    fn look(&mut self, look: Observation) -> Evaluation {
        let later = Observation { at: look.at.after(Duration::from_secs(5)), ..look.clone() };
        let mut probe = RealEvaluator::new(Goal::Settle);
        probe.look(look.clone());
        match probe.look(later) {
            settled @ Evaluation::Settled { .. } => settled,
            _ => self.0.look(look),
        }
    }
}

/// A judge that counts all restarts, whatever else made progress: it sees each service alone.
struct AllRestarts {
    whole: RealEvaluator,
    alone: std::collections::BTreeMap<String, RealEvaluator>,
}

impl Evaluator for AllRestarts {
    fn look(&mut self, look: Observation) -> Evaluation {
        for (name, view) in &look.services {
            let judge = self.alone.entry(name.to_string()).or_insert_with(|| RealEvaluator::new(Goal::Settle));
            let only = Observation { at: look.at, services: [(name.clone(), view.clone())].into() };
            if let failed @ Evaluation::Failed(_) = judge.look(only) {
                return failed;
            }
        }
        self.whole.look(look)
    }
}

#[test]
fn a_judge_with_one_truth_removed_is_caught() {
    let mutants: [(&str, Make); 4] = [
        ("current swapped for running", |goal| Box::new(RunningIsCurrent(RealEvaluator::new(goal)))),
        ("marks dropped", |_| Box::new(RealEvaluator::new(Goal::Settle))),
        ("window 0", |goal| Box::new(NoWindow(RealEvaluator::new(goal)))),
        ("all restarts counted", |goal| {
            Box::new(AllRestarts { whole: RealEvaluator::new(goal), alone: std::collections::BTreeMap::new() })
        }),
    ];
    for (what, make) in mutants {
        assert!(!complaints(make).is_empty(), "no recording catches a judge with {what}");
    }
}

#[test]
fn a_watch_without_a_look_asks_for_one() {
    let watch = harness::pure::host::converge::Watch::new(Goal::Settle);
    assert!(matches!(harness::pure::host::converge::evaluate(&watch, Mono(7)), Evaluation::Waiting { look_again: Mono(7), .. }));
}

#[test]
fn what_no_host_lacks_but_this_one_is_not_the_recipes_fault() {
    let recording = Recording::load("no-node-replicated");
    for (said, owner) in [
        ("scheduling constraints not satisfied on 1 node", Owner::Recipe),
        ("unsupported platform on 1 node", Owner::Recipe),
        ("missing plugin on 1 node", Owner::Infrastructure),
        ("1 node not available for new tasks", Owner::Infrastructure),
        ("2 nodes not available for new tasks; scheduling constraints not satisfied on 1 node", Owner::Infrastructure),
    ] {
        let mut looks = recording.observations.clone();
        for task in looks.iter_mut().flat_map(|look| look.services.values_mut()).flat_map(|service| &mut service.tasks) {
            task.error = format!("no suitable node ({said})");
        }
        let (_, evaluation) = replay(&mut *real(recording.goal.clone()), &looks).unwrap();
        let Evaluation::Failed(failures) = &evaluation else { panic!("{said}: {evaluation:?}") };
        assert!(matches!(failures[0].cause, Cause::NoEligibleNode { .. }), "{said}: {failures:?}");
        assert_eq!(failures[0].owner, owner, "{said}");
    }
}
