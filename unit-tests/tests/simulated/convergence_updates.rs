//! Updates that Swarm stops, and containers that the engine does not start: the same failure has the same cause and the same
//! owner in whatever order its facts are observed.

use std::time::Duration;

use harness::{
    model::{
        outcome::{Cause, Failure, Owner},
        task_fault::TaskFault,
        time::Mono,
    },
    pure::host::converge::{
        Evaluation, Goal, Marks, Observation, OnFailure, Order, SpecDigest, TaskState, TaskView, UpdateState, UpdateView, Watch,
        evaluate, observe_into,
    },
};
use unit_tests::recording::{Evaluator, RealEvaluator, Recording, brief, replay};

const UNHEALTHY: &str = "task: non-zero exit (137): dockerexec: unhealthy container";
const OVERLAPS: &str = "invalid pool request: Pool overlaps with other one on this address space";

/// What happens to a service of one slot, in an order that Swarm or its nodes may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    /// The new task ends.
    End,
    /// Swarm makes its successor.
    Successor,
    /// The successor starts.
    Start,
    /// Swarm stops the update.
    Stop,
}

/// A service that is updated start-first: its old task runs, and a new one starts.
fn updating(on_failure: OnFailure) -> Observation {
    let mut observation = Recording::load("healthy").observations.pop().unwrap();
    observation.at = Mono(0);
    let view = observation.services.values_mut().next().unwrap();
    view.roll.order = Order::StartFirst;
    view.roll.on_failure = on_failure;
    view.update = Some(UpdateView { state: UpdateState::Updating, message: "update in progress".into() });
    let mut old = view.tasks[0].clone();
    (old.id, old.current) = ("old".parse().unwrap(), false);
    let new = TaskView { id: "new".parse().unwrap(), current: true, state: TaskState::Starting, ..old.clone() };
    view.tasks = vec![old, new];
    observation
}

/// The observation after these facts, for a new task that ends with `error`.
fn after(begin: &Observation, facts: &[Fact], error: &str, at: u64) -> Observation {
    let mut observation = Observation { at: Mono(at), ..begin.clone() };
    let view = observation.services.values_mut().next().unwrap();
    for fact in facts {
        let position = |id: &str| view.tasks.iter().position(|task| task.id.as_str() == id);
        match fact {
            Fact::End => {
                let new = &mut view.tasks[1];
                let state = if error.starts_with("task: ") { TaskState::Failed } else { TaskState::Rejected };
                (new.state, new.desired, new.error) = (state, TaskState::Shutdown, error.to_owned());
                (new.exit, new.container) = match state {
                    TaskState::Failed => (Some(137), new.container.clone()),
                    _ => (None, None),
                };
            }
            Fact::Successor => {
                let next = TaskView {
                    id: "next".parse().unwrap(),
                    state: TaskState::Ready,
                    desired: TaskState::Ready,
                    error: String::new(),
                    exit: None,
                    ..view.tasks[1].clone()
                };
                view.tasks.push(next);
            }
            Fact::Start => {
                let next = position("next").unwrap();
                (view.tasks[next].state, view.tasks[next].desired) = (TaskState::Starting, TaskState::Running);
            }
            Fact::Stop => {
                let message = "due to failure or early termination of task new";
                let (state, message) = match view.roll.on_failure {
                    OnFailure::Pause => (UpdateState::Paused, format!("update paused {message}")),
                    _ => (UpdateState::RollbackStarted, format!("update rolled back {message}")),
                };
                view.update = Some(UpdateView { state, message });
                if state == UpdateState::RollbackStarted {
                    view.spec = SpecDigest("base".into());
                    view.tasks.iter_mut().for_each(|task| task.current = !task.current);
                }
            }
        }
    }
    observation
}

/// All orders of the facts that a Swarm can produce.
const ORDERS: &[&[Fact]] = &[
    &[Fact::End, Fact::Stop, Fact::Successor, Fact::Start],
    &[Fact::End, Fact::Successor, Fact::Stop, Fact::Start],
    &[Fact::End, Fact::Successor, Fact::Start, Fact::Stop],
];

/// The failure of the update over these observations.
fn failure(begin: &Observation, observations: &[Observation]) -> Option<Failure> {
    let mut before = Marks::of(&begin.services);
    before.0.values_mut().for_each(|(_, digest)| *digest = SpecDigest("base".into()));
    let mut watch = Watch::new(Goal::Upgrade(Marks::of(&begin.services))).coming_from(before);
    for observation in observations {
        watch = observe_into(watch, observation.clone());
        match evaluate(&watch, observation.at) {
            Evaluation::Waiting { .. } => {}
            Evaluation::Failed(mut failures) => return Some(failures.remove(0)),
            other => panic!("{other:?}"),
        }
    }
    None
}

/// The facts of an update with their names, in each order, each subset of its moments observed, with Swarm's decision up to
/// 25 seconds late: all failures.
fn failures(on_failure: OnFailure, error: &str) -> Vec<Failure> {
    let begin = updating(on_failure);
    let mut all = Vec::new();
    for order in ORDERS {
        for pause in [10, 1_000, 5_000, 8_000] {
            // One bit for each moment; the last one is always observed.
            for seen in 0..1_u32 << order.len() {
                let mut observations = vec![begin.clone()];
                for count in 1..=order.len() {
                    if count == order.len() || seen >> count & 1 == 1 {
                        observations.push(after(&begin, &order[..count], error, 60_000 + pause * count as u64));
                    }
                }
                let last = observations.last().unwrap().clone();
                observations.push(Observation { at: last.at.after(Duration::from_secs(1)), ..last });
                all.push(failure(&begin, &observations).unwrap_or_else(|| panic!("{order:?} {seen:b}: {observations:#?}")));
            }
        }
    }
    all
}

#[test]
fn update_that_swarm_stops_has_one_cause_in_whatever_order_it_is_observed() {
    for (error, because) in [
        (UNHEALTHY, TaskFault::Unhealthy),
        ("task: non-zero exit (3)", TaskFault::Exited),
        ("No such image: taster.test/absent:1", TaskFault::ImageAbsent),
        ("manifest for taster.test/absent:1 not found: manifest unknown: manifest unknown", TaskFault::ImageUnknown),
        ("toomanyrequests: You have reached your pull rate limit.", TaskFault::RegistryLimit),
        ("invalid mount config for type \"bind\": bind source path does not exist: /absent", TaskFault::BadMount),
        (OVERLAPS, TaskFault::EngineRefused),
    ] {
        for failure in failures(OnFailure::Pause, error) {
            assert!(matches!(failure.cause, Cause::Paused { because: found, .. } if found == because), "{error}: {failure:?}");
            assert_eq!(failure.owner, because.owner(), "{error}");
        }
        for failure in failures(OnFailure::Rollback, error) {
            assert!(
                matches!(failure.cause, Cause::RolledBack { because: found, .. } if found == because),
                "{error}: {failure:?}"
            );
            assert_eq!(failure.owner, because.owner(), "{error}");
        }
    }
}

#[test]
fn failure_behind_a_rollback_is_the_one_behind_a_pause_and_names_its_task_once() {
    let pause = &failures(OnFailure::Pause, UNHEALTHY)[0].message;
    let rollback = &failures(OnFailure::Rollback, UNHEALTHY)[0].message;
    let (why, _) = pause.split_once(", so Swarm").unwrap();
    assert_eq!(rollback.split_once(", so Swarm").unwrap().0, why);
    assert_eq!(why, "judge-healthy_app: the health check of its new task failed (task new)");
    assert_eq!(rollback.matches("rolled").count(), 1, "{rollback}");
}

/// The recording of a task that the engine rejects, with another error.
fn rejected(error: &str, seconds: u64) -> Option<(Mono, Evaluation)> {
    let recording = Recording::load("bad-mount");
    let mut observations = recording.observations;
    let last = observations.last().unwrap().clone();
    observations
        .extend((0..seconds).step_by(5).map(|more| Observation { at: last.at.after(Duration::from_secs(more)), ..last.clone() }));
    let services = observations.iter_mut().flat_map(|observation| observation.services.values_mut());
    for task in services.flat_map(|view| &mut view.tasks).filter(|task| !task.error.is_empty()) {
        error.clone_into(&mut task.error);
    }
    replay(&mut RealEvaluator::new(recording.goal), &observations)
}

#[test]
fn container_that_the_engine_does_not_start_is_waited_for_and_never_the_recipes_fault() {
    for error in [OVERLAPS, "network shop_default not found", "lease \"a1\": not found", "write /a: no space left on device"] {
        assert_eq!(rejected(error, 250), None, "{error}");
        let (_, evaluation) = rejected(error, 320).expect(error);
        assert_eq!(brief(&evaluation), "rejected app", "{error}");
        let Evaluation::Failed(failures) = evaluation else { panic!("{error}") };
        assert_eq!(failures[0].owner, Owner::Infrastructure, "{error}");
        assert!(failures[0].message.contains(error), "{}", failures[0].message);
    }
}

#[test]
fn container_that_starts_after_refusals_settles() {
    let recording = Recording::load("bad-mount");
    let mut evaluator = RealEvaluator::new(Goal::Settle);
    for mut observation in recording.observations {
        let tasks = observation.services.values_mut().flat_map(|view| &mut view.tasks);
        tasks.filter(|task| !task.error.is_empty()).for_each(|task| OVERLAPS.clone_into(&mut task.error));
        assert!(matches!(evaluator.observe(observation), Evaluation::Waiting { .. }));
    }
    let mut healthy = Recording::load("healthy").observations.pop().unwrap();
    healthy.at = Mono(30_000);
    evaluator.observe(healthy.clone());
    healthy.at = Mono(36_000);
    assert_eq!(brief(&evaluator.observe(healthy)), "settled");
}

#[test]
fn rejection_whose_reason_is_the_recipes_is_its_fault_after_three_times() {
    for error in
        ["no command specified", "invalid hostname format: a_b!", "starting container failed: exec /a: exec format error"]
    {
        let (at, evaluation) = rejected(error, 0).expect(error);
        assert_eq!((at, brief(&evaluation)), (Mono(3748), "rejected app".into()), "{error}");
        let Evaluation::Failed(failures) = evaluation else { panic!("{error}") };
        assert_eq!(failures[0].owner, Owner::Recipe, "{error}");
    }
}

#[test]
fn image_that_the_engine_explains_has_its_owner() {
    for (error, because, owner) in [
        ("manifest for a:1 not found: manifest unknown: manifest unknown", TaskFault::ImageUnknown, Owner::Recipe),
        ("no matching manifest for linux/arm64 in the manifest list entries", TaskFault::ImagePlatform, Owner::Recipe),
        ("toomanyrequests: You have reached your pull rate limit.", TaskFault::RegistryLimit, Owner::Infrastructure),
        (
            "pull access denied for a, repository does not exist or may require 'docker login'",
            TaskFault::RegistryLogin,
            Owner::Infrastructure,
        ),
        (
            "Get \"https://r.test/v2/\": dial tcp: lookup r.test: no such host",
            TaskFault::RegistryUnreachable,
            Owner::Infrastructure,
        ),
    ] {
        let (_, evaluation) = rejected(error, 0).expect(error);
        let Evaluation::Failed(failures) = evaluation else { panic!("{error}") };
        assert!(matches!(failures[0].cause, Cause::ImageMissing { because: found, .. } if found == because), "{failures:?}");
        assert_eq!(failures[0].owner, owner, "{error}");
    }
}
