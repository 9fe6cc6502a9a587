//! Convergence over generated stacks, and the loop that observes the simulated Swarm, in paused time.

use std::time::Duration;

use harness::{
    adapters::clock::SystemClock,
    engine::steps::shared::settle::settle,
    model::time::Mono,
    pure::host::converge::{
        Cadence, Evaluation, Goal, Observation, SpecDigest, TaskState, WATCHDOG, Watch, evaluate, observe_into,
    },
};
use proptest::prelude::*;
use unit_tests::{
    recording::{self, Recording, brief},
    sim_swarm::{Does, SimService, SimStack, SimSwarm, impossible},
};

/// How long a stack is watched, in milliseconds: longer than all attempts, allowances and grace periods in it together.
const LONG: u64 = 600_000;

/// The observations of a stack by the cadence of the loop, and the final evaluation.
fn watched(stack: &SimStack) -> (Vec<Observation>, Evaluation) {
    watched_with(stack, stack.events(LONG))
}

/// The same with these wake-ups only.
fn watched_with(stack: &SimStack, events: std::collections::BTreeSet<u64>) -> (Vec<Observation>, Evaluation) {
    let mut watch = Watch::new(Goal::Settle);
    let mut cadence = Cadence::default();
    let mut observations = Vec::new();
    let mut events = events.into_iter().peekable();
    let mut now = Mono(0);
    loop {
        cadence.observed(now);
        let observation = Observation { at: now, services: stack.observe(now) };
        observations.push(observation.clone());
        watch = observe_into(watch, observation);
        let evaluation = evaluate(&watch, now);
        let Evaluation::Waiting { next_observation, .. } = evaluation else { return (observations, evaluation) };
        if now.0 > LONG {
            return (observations, evaluation);
        }
        while let Some(event) = events.next_if(|event| Mono(*event) <= cadence.next(next_observation)) {
            cadence.woken(Mono(event));
        }
        let next = cadence.next(next_observation);
        now = if next > now { next } else { Mono(now.0 + 1) };
    }
}

fn service(number: usize) -> impl Strategy<Value = SimService> {
    let does = prop_oneof![
        4 => (0..40_000_u64).prop_map(Does::Serves),
        2 => (0..number.max(1)).prop_map(move |other| if number == 0 { Does::Serves(0) } else { Does::Needs(other) }),
        1 => (1..4_i32).prop_map(Does::Crashes),
        1 => (10..5_000_u64).prop_map(Does::Once),
        1 => Just(Does::Nowhere),
    ];
    (does, 100..6_000_u64, 10..2_000_u64).prop_map(|(does, delay, lasts)| SimService { does, delay, lasts })
}

fn stacks() -> impl Strategy<Value = SimStack> {
    (service(0), service(1), service(2), service(3), 1..=4_usize).prop_map(|(a, b, c, d, count)| {
        let mut services = vec![a, b, c, d];
        services.truncate(count);
        SimStack(services)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stack_settles_exactly_if_it_can(stack in stacks()) {
        let (observations, evaluation) = watched(&stack);
        match &evaluation {
            Evaluation::Settled { .. } => {
                prop_assert!(stack.can_settle(), "settled, but cannot");
                for view in observations.last().unwrap().services.values() {
                    let there = view.tasks.iter().any(|task| task.current && matches!(task.state, TaskState::Running | TaskState::Complete));
                    prop_assert!(there, "settled without a wanted task: {view:?}");
                }
            }
            Evaluation::Failed(_) => prop_assert!(!stack.can_settle(), "failed, but can settle: {}", brief(&evaluation)),
            other => prop_assert!(false, "waits for ever: {other:?}"),
        }
    }

    #[test]
    fn one_more_healthy_service_changes_only_the_time(stack in stacks()) {
        let mut more = stack.clone();
        more.0.push(SimService { does: Does::Serves(0), delay: 1_000, lasts: 10 });
        let kind = |evaluation: &Evaluation| matches!(evaluation, Evaluation::Settled { .. });
        prop_assert_eq!(kind(&watched(&stack).1), kind(&watched(&more).1));
    }

    #[test]
    fn stream_without_wake_ups_changes_only_the_time(stack in stacks()) {
        let kind = |evaluation: &Evaluation| matches!(evaluation, Evaluation::Settled { .. });
        let (woken, evaluation) = watched(&stack);
        let (not_woken, same) = watched_with(&stack, Default::default());
        prop_assert_eq!(kind(&evaluation), kind(&same));
        if kind(&evaluation) {
            let late = not_woken.last().unwrap().at.since(woken.last().unwrap().at);
            prop_assert!(late <= WATCHDOG, "{late:?} late");
        }
    }

    #[test]
    fn simulation_does_nothing_that_no_engine_does(stack in stacks()) {
        prop_assert_eq!(impossible(&watched(&stack).0), Vec::<String>::new());
    }
}

#[test]
fn validator_admits_every_recording_and_refuses_a_changed_one() {
    for name in recording::names() {
        let observations = Recording::load(&name).observations;
        assert_eq!(impossible(&observations), Vec::<String>::new(), "{name}");
        let mut changed = observations.clone();
        let last = changed.last_mut().unwrap();
        last.services.values_mut().for_each(|view| view.spec = SpecDigest("another".into()));
        changed.insert(0, observations[observations.len() - 1].clone());
        assert!(!impossible(&changed).is_empty(), "{name} changed");
    }
}

#[test]
fn end_of_a_one_shot_is_progress_for_a_service_that_waits_for_it() {
    let migrate = SimService { does: Does::Once(3_843), delay: 100, lasts: 10 };
    let app = SimService { does: Does::Needs(0), delay: 1_132, lasts: 76 };
    assert_eq!(brief(&watched(&SimStack(vec![migrate, app])).1), "settled");
}

#[tokio::test(start_paused = true)]
async fn crash_loop_is_named_with_its_log_tail_within_ten_seconds() {
    let sim = SimStack(vec![SimService { does: Does::Crashes(3), delay: 500, lasts: 100 }]);
    let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(sim));
    let begun = tokio::time::Instant::now();
    let stack = "sim".parse().unwrap();
    let evaluation = settle(&swarm, &swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(60), |_| {}).await;
    assert_eq!(brief(&evaluation), "crash-loop s0 exit 3");
    let Evaluation::Failed(failures) = evaluation else { unreachable!() };
    assert_eq!(failures[0].excerpt, ["last words of task-0-2"], "{}", failures[0].message);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn unhealthy_app_that_exits_with_0_on_a_stop_is_unhealthy() {
    let evaluation_of = async |unhealthy: &str| {
        let sim = SimStack(vec![SimService { does: Does::Crashes(0), delay: 500, lasts: 100 }]);
        let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(sim).with_unhealthy(unhealthy));
        let stack = "sim".parse().unwrap();
        let evaluation = settle(&swarm, &swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(60), |_| {}).await;
        let Evaluation::Failed(failures) = &evaluation else { panic!("{evaluation:?}") };
        (
            brief(&evaluation),
            failures[0].message.contains("its health check had failed; the check itself printed: GET /health: 500"),
        )
    };
    assert_eq!(evaluation_of("container-0-2").await, ("unhealthy s0".into(), true));
    assert_eq!(evaluation_of("another").await, ("crash-loop s0 exit 0".into(), false));
}

#[tokio::test(start_paused = true)]
async fn stack_settles_five_seconds_after_the_last_task_runs() {
    let sim = SimStack(vec![SimService { does: Does::Serves(20_000), delay: 500, lasts: 0 }]);
    let ready = sim.ready(0).unwrap();
    let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(sim));
    let begun = tokio::time::Instant::now();
    let stack = "sim".parse().unwrap();
    let mut observations = 0;
    let count = |seen: harness::engine::steps::shared::settle::Seen<'_>| {
        observations += u32::from(matches!(seen, harness::engine::steps::shared::settle::Seen::Observed(..)))
    };
    let evaluation = settle(&swarm, &swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(60), count).await;
    assert_eq!(brief(&evaluation), "settled");
    let late = begun.elapsed().saturating_sub(Duration::from_millis(ready + 5_000));
    assert!(late <= Duration::from_millis(200), "{late:?} late");
    assert!(observations <= 24, "{observations} observations");
}

#[tokio::test(start_paused = true)]
async fn exceeded_budget_names_what_the_stack_waited_for() {
    let sim = SimStack(vec![SimService { does: Does::Serves(90_000), delay: 500, lasts: 0 }]);
    let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(sim));
    let stack = "sim".parse().unwrap();
    let evaluation = settle(&swarm, &swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(30), |_| {}).await;
    let Evaluation::Failed(failures) = evaluation else { panic!("{evaluation:?}") };
    assert!(
        failures[0].message.contains("not settled within 30 s; still waiting for sim_s0: starting 0/1"),
        "{}",
        failures[0].message
    );
}
