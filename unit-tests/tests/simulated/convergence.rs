//! Convergence over recordings of real stacks: the evaluation and its time, also when observations are lost, repeated or late;
//! and evaluators with one rule removed, each of which a recording catches.
//!
//! No test sets the engine's clock off, because no evaluation can depend on it: an observation has one time, `Observation::at`,
//! of our own monotonic clock, and no view of a service, task or update has a field for a time of the engine.

use std::{collections::BTreeSet, time::Duration};

use harness::{
    model::{
        outcome::{Cause, Owner},
        time::Mono,
    },
    pure::host::converge::{Evaluation, Goal, Observation, TaskState, WATCHDOG},
};
use unit_tests::recording::{self, Evaluator, RealEvaluator, Recording, brief, replay};

/// Each recording with its evaluation and the time of it, in milliseconds since the recording began. Those below `29/` are of an
/// engine of that line, the others of 20.10.
const EXPECTED: &[(&str, &str, u64)] = &[
    ("attempts-spent", "attempts-spent app exit 2", 4722),
    ("bad-mount", "rejected app", 3748),
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
    ("29/attempts-spent", "attempts-spent app exit 2", 4333),
    ("29/bad-mount", "rejected app", 2248),
    ("29/continued", "crash-loop app exit 6", 8609),
    ("29/crash-loop", "crash-loop app exit 3", 4415),
    ("29/crash-loop-beside", "crash-loop app exit 3", 5470),
    ("29/crash-loop-default", "crash-loop app exit 3", 11933),
    ("29/exited-for-good", "exited-for-good app", 2051),
    ("29/five", "settled", 20648),
    ("29/global", "settled", 10622),
    ("29/healthy", "settled", 5547),
    ("29/host-port", "held-resource app", 5105),
    ("29/image-missing", "image-missing app", 716),
    ("29/job", "settled", 1807),
    ("29/never-healthy", "unhealthy app", 26063),
    ("29/no-node", "no-eligible-node app", 5019),
    ("29/no-node-replicated", "no-eligible-node app", 5103),
    ("29/one-shot", "settled", 2719),
    ("29/one-shot-beside", "settled", 5698),
    ("29/one-shot-fails", "attempts-spent job exit 4", 1807),
    ("29/paused", "paused app", 6728),
    ("29/redeployed", "settled", 22406),
    ("29/rolled-back", "rolled-back app", 11474),
    ("29/several", "settled", 5821),
    ("29/slow-start", "settled", 15892),
    ("29/start-first", "settled", 2660),
    ("29/unhealthy", "unhealthy app", 6639),
    ("29/waits-for-database", "settled", 25973),
    ("29/waits-for-probed-database", "settled", 27701),
    ("29/zero", "settled", 5),
];

type Make = fn(Goal) -> Box<dyn Evaluator>;

fn real(goal: Goal) -> Box<dyn Evaluator> {
    Box::new(RealEvaluator::new(goal))
}

/// The recordings that an evaluator evaluates wrongly, a sentence each.
fn complaints(make: Make) -> Vec<String> {
    let wrong = EXPECTED.iter().map(|(name, expected, at)| {
        let recording = Recording::load(name);
        let verdict = replay(&mut *make(recording.goal.clone()), &recording.observations);
        let (when, what) = verdict.map_or((0, "nothing".into()), |(when, evaluation)| (when.0, brief(&evaluation)));
        (what != *expected || when != *at).then(|| format!("{name}: expected {expected:?} at {at}, got {what:?} at {when}"))
    });
    wrong.flatten().collect()
}

#[test]
fn each_recording_is_evaluated_right_and_in_time() {
    let wrong = complaints(real);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn at_least_twenty_recordings_are_replayed_and_none_is_forgotten() {
    let names = recording::names();
    assert_eq!(names, EXPECTED.iter().map(|(name, ..)| (*name).to_owned()).collect());
    let of_29 = names.iter().filter_map(|name| name.strip_prefix("29/"));
    let old = names.iter().map(String::as_str).filter(|name| !name.contains('/')).collect::<BTreeSet<_>>();
    let new = of_29.collect::<BTreeSet<_>>();
    assert_eq!(old, new, "the same stacks on both engines");
    assert!(old.len() >= 20);
}

#[test]
fn repeated_observations_change_nothing() {
    for (name, expected, at) in EXPECTED {
        let recording = Recording::load(name);
        let twice: Vec<Observation> =
            recording.observations.iter().flat_map(|observation| [observation.clone(), observation.clone()]).collect();
        let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &twice).expect(name);
        assert_eq!((brief(&evaluation).as_str(), when.0), (*expected, *at), "{name}");
    }
}

#[test]
fn lost_observations_delay_the_evaluation_by_one_watchdog_at_most() {
    for (name, expected, at) in EXPECTED {
        for keep in 2..5 {
            let recording = Recording::load(name);
            // The stack stays as the last observation shows it, and the watchdog observes it again.
            let last = recording.observations.last().unwrap().clone();
            let mut observations: Vec<Observation> = recording.observations.into_iter().step_by(keep).collect();
            let pauses = [0, 1_000, 3_000, 6_000, 10_000];
            observations
                .extend(pauses.map(|more| Observation { at: last.at.after(Duration::from_millis(more)), ..last.clone() }));
            let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &observations).expect(name);
            assert_eq!(brief(&evaluation), *expected, "{name} with one observation in {keep}");
            assert!(when.0 <= at + u64::try_from(WATCHDOG.as_millis()).unwrap(), "{name}: {} after {at}", when.0);
        }
    }
}

/// The observations in their order, each up to `most` milliseconds late.
fn late(observations: &[Observation], most: u64) -> Vec<Observation> {
    let mut observations = observations.to_vec();
    let mut last = Mono(0);
    for (number, observation) in observations.iter_mut().enumerate() {
        let late = most * (number as u64 * 7 % 11) / 10;
        observation.at = observation.at.after(Duration::from_millis(late)).max(last);
        last = observation.at;
    }
    observations
}

#[test]
fn late_observations_delay_the_evaluation_by_one_watchdog_at_most() {
    let watchdog = u64::try_from(WATCHDOG.as_millis()).unwrap();
    for (name, expected, at) in EXPECTED {
        for most in [50, 300, 1_000, 3_000] {
            let recording = Recording::load(name);
            let mut observations = late(&recording.observations, most);
            // A window that began late ends late; by then another observation shows the same.
            let last = observations.last().unwrap().clone();
            observations.extend(
                [most, 2 * most].map(|more| Observation { at: last.at.after(Duration::from_millis(more)), ..last.clone() }),
            );
            let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &observations).expect(name);
            assert_eq!(brief(&evaluation), *expected, "{name} with observations up to {most} ms late");
            assert!(when.0 <= at + watchdog, "{name} with observations up to {most} ms late: {} after {at}", when.0);
        }
    }
}

#[test]
fn origin_of_our_clock_changes_nothing() {
    let hour = Duration::from_secs(3_600);
    for (name, expected, at) in EXPECTED {
        let mut recording = Recording::load(name);
        recording.observations.iter_mut().for_each(|observation| observation.at = observation.at.after(hour));
        let (when, evaluation) = replay(&mut RealEvaluator::new(recording.goal), &recording.observations).expect(name);
        assert_eq!((brief(&evaluation).as_str(), when), (*expected, Mono(*at).after(hour)), "{name}");
    }
}

#[test]
fn blockers_change_only_with_their_cause() {
    let recording = Recording::load("several");
    let mut evaluator = RealEvaluator::new(recording.goal);
    let mut blockers: Vec<Vec<String>> = Vec::new();
    for observation in &recording.observations {
        if let Evaluation::Waiting { on, .. } = evaluator.observe(observation.clone()) {
            blockers.push(on.into_iter().map(|blocker| blocker.why).collect());
        }
    }
    let observations = blockers.len();
    blockers.dedup();
    assert!(blockers.last().unwrap().iter().all(|why| why == "running, stable window of 5 s"), "{blockers:#?}");
    let mut different = blockers.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), blockers.len(), "no blocker comes back after another one: {blockers:#?}");
    assert!(blockers.len() < observations, "{} texts in {observations} observations", blockers.len());
}

/// An evaluator that takes each running task for one of the current spec.
struct RunningIsCurrent(RealEvaluator);

impl Evaluator for RunningIsCurrent {
    fn observe(&mut self, mut observation: Observation) -> Evaluation {
        for task in observation.services.values_mut().flat_map(|view| &mut view.tasks) {
            task.current = task.state == TaskState::Running || task.current;
            if task.state == TaskState::Running {
                task.desired = TaskState::Running;
            }
        }
        self.0.observe(observation)
    }
}

/// An evaluator without a stable window.
struct NoWindow(RealEvaluator);

impl Evaluator for NoWindow {
    fn observe(&mut self, observation: Observation) -> Evaluation {
        let later = Observation { at: observation.at.after(Duration::from_secs(5)), ..observation.clone() };
        let mut probe = RealEvaluator::new(Goal::Settle);
        probe.observe(observation.clone());
        match probe.observe(later) {
            settled @ Evaluation::Settled { .. } => settled,
            _ => self.0.observe(observation),
        }
    }
}

/// An evaluator that counts all restarts, whatever else made progress: it evaluates each service alone.
struct AllRestarts {
    whole: RealEvaluator,
    alone: std::collections::BTreeMap<String, RealEvaluator>,
}

impl Evaluator for AllRestarts {
    fn observe(&mut self, observation: Observation) -> Evaluation {
        for (name, view) in &observation.services {
            let evaluator = self.alone.entry(name.to_string()).or_insert_with(|| RealEvaluator::new(Goal::Settle));
            let only = Observation { at: observation.at, services: [(name.clone(), view.clone())].into() };
            if let failed @ Evaluation::Failed(_) = evaluator.observe(only) {
                return failed;
            }
        }
        self.whole.observe(observation)
    }
}

#[test]
fn evaluator_with_one_rule_removed_is_caught() {
    let mutants: [(&str, Make); 4] = [
        ("current swapped for running", |goal| Box::new(RunningIsCurrent(RealEvaluator::new(goal)))),
        ("marks dropped", |_| Box::new(RealEvaluator::new(Goal::Settle))),
        ("window 0", |goal| Box::new(NoWindow(RealEvaluator::new(goal)))),
        ("all restarts counted", |goal| {
            Box::new(AllRestarts { whole: RealEvaluator::new(goal), alone: std::collections::BTreeMap::new() })
        }),
    ];
    for (what, make) in mutants {
        assert!(!complaints(make).is_empty(), "no recording catches an evaluator with {what}");
    }
}

#[test]
fn watch_without_an_observation_asks_for_one() {
    let watch = harness::pure::host::converge::Watch::new(Goal::Settle);
    assert!(matches!(
        harness::pure::host::converge::evaluate(&watch, Mono(7)),
        Evaluation::Waiting { next_observation: Mono(7), .. }
    ));
}

#[test]
fn node_that_the_host_lacks_is_infrastructure() {
    let recording = Recording::load("no-node-replicated");
    for (error, owner) in [
        ("scheduling constraints not satisfied on 1 node", Owner::Recipe),
        ("unsupported platform on 1 node", Owner::Recipe),
        ("missing plugin on 1 node", Owner::Infrastructure),
        ("1 node not available for new tasks", Owner::Infrastructure),
        ("2 nodes not available for new tasks; scheduling constraints not satisfied on 1 node", Owner::Infrastructure),
    ] {
        let mut observations = recording.observations.clone();
        for task in observations
            .iter_mut()
            .flat_map(|observation| observation.services.values_mut())
            .flat_map(|service| &mut service.tasks)
        {
            task.error = format!("no suitable node ({error})");
        }
        let (_, evaluation) = replay(&mut *real(recording.goal.clone()), &observations).unwrap();
        let Evaluation::Failed(failures) = &evaluation else { panic!("{error}: {evaluation:?}") };
        assert!(matches!(failures[0].cause, Cause::NoEligibleNode { .. }), "{error}: {failures:?}");
        assert_eq!(failures[0].owner, owner, "{error}");
    }
}
