//! Properties of the judge over generated worlds, and the driver over the simulated Swarm in paused time.

use std::time::Duration;

use harness::{
    adapters::clock::SystemClock,
    engine::steps::shared::settle::settle,
    model::time::Mono,
    pure::host::converge::{Cadence, Evaluation, Goal, Observation, SpecDigest, TaskState, WATCHDOG, Watch, evaluate, see},
};
use proptest::prelude::*;
use unit_tests::{
    recording::{Recording, brief, folder},
    sim_swarm::{Does, Inventory, SimService, SimSwarm, impossible},
};

/// How long a world is watched: longer than any attempt, allowance and grace in it together.
const LONG: u64 = 600_000;

/// Watches a world as the driver does, and gives its looks and the final evaluation.
fn watched(world: &Inventory) -> (Vec<Observation>, Evaluation) {
    watched_hearing(world, world.events(LONG))
}

/// The same by a driver that hears only of these events.
fn watched_hearing(world: &Inventory, events: std::collections::BTreeSet<u64>) -> (Vec<Observation>, Evaluation) {
    let mut watch = Watch::new(Goal::Settle);
    let mut cadence = Cadence::default();
    let mut looks = Vec::new();
    let mut events = events.into_iter().peekable();
    let mut now = Mono(0);
    loop {
        cadence.looked(now);
        let look = Observation { at: now, services: world.look(now) };
        looks.push(look.clone());
        watch = see(watch, look);
        let evaluation = judge(&watch, now);
        let Evaluation::Waiting { look_again, .. } = evaluation else { return (looks, evaluation) };
        if now.0 > LONG {
            return (looks, evaluation);
        }
        while let Some(event) = events.next_if(|event| Mono(*event) <= cadence.next(look_again)) {
            cadence.nudged(Mono(event));
        }
        let next = cadence.next(look_again);
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

fn worlds() -> impl Strategy<Value = Inventory> {
    (service(0), service(1), service(2), service(3), 1..=4_usize).prop_map(|(a, b, c, d, count)| {
        let mut services = vec![a, b, c, d];
        services.truncate(count);
        Inventory(services)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_world_settles_exactly_if_it_can(world in worlds()) {
        let (looks, evaluation) = watched(&world);
        let said = brief(&evaluation);
        match &evaluation {
            Evaluation::Settled { .. } => {
                prop_assert!(world.can_settle(), "settled, but cannot");
                for view in looks.last().unwrap().services.values() {
                    let there = view.tasks.iter().any(|task| task.current && matches!(task.state, TaskState::Running | TaskState::Complete));
                    prop_assert!(there, "settled without a wanted task: {view:?}");
                }
            }
            Evaluation::Failed(_) => prop_assert!(!world.can_settle(), "failed, but can settle: {said}"),
            other => prop_assert!(false, "waits for ever: {other:?}"),
        }
    }

    #[test]
    fn a_settled_service_more_changes_nothing_but_the_end(world in worlds()) {
        let mut more = world.clone();
        more.0.push(SimService { does: Does::Serves(0), delay: 1_000, lasts: 10 });
        let kind = |evaluation: &Evaluation| matches!(evaluation, Evaluation::Settled { .. });
        prop_assert_eq!(kind(&watched(&world).1), kind(&watched(&more).1));
    }

    #[test]
    fn a_stream_that_is_cut_changes_only_the_time(world in worlds()) {
        let kind = |evaluation: &Evaluation| matches!(evaluation, Evaluation::Settled { .. });
        let ((heard, said), (deaf, said_deaf)) = (watched(&world), watched_hearing(&world, Default::default()));
        prop_assert_eq!(kind(&said), kind(&said_deaf));
        if kind(&said) {
            let late = deaf.last().unwrap().at.since(heard.last().unwrap().at);
            prop_assert!(late <= WATCHDOG, "{late:?} late");
        }
    }

    #[test]
    fn the_simulation_does_nothing_that_no_engine_does(world in worlds()) {
        prop_assert_eq!(impossible(&watched(&world).0), Vec::<String>::new());
    }
}

#[test]
fn the_validator_admits_every_recording_and_refuses_a_doctored_one() {
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let looks = Recording::load(&name).observations;
        assert_eq!(impossible(&looks), Vec::<String>::new(), "{name}");
        let mut doctored = looks.clone();
        let last = doctored.last_mut().unwrap();
        last.services.values_mut().for_each(|view| view.spec = SpecDigest("another".into()));
        doctored.insert(0, looks[looks.len() - 1].clone());
        assert!(!impossible(&doctored).is_empty(), "{name} doctored");
    }
}

#[test]
fn the_end_of_a_one_shot_is_progress_for_those_that_wait_for_it() {
    let migrate = SimService { does: Does::Once(3_843), delay: 100, lasts: 10 };
    let app = SimService { does: Does::Needs(0), delay: 1_132, lasts: 76 };
    assert_eq!(brief(&watched(&Inventory(vec![migrate, app])).1), "settled");
}

#[tokio::test(start_paused = true)]
async fn the_driver_names_a_crash_loop_with_its_last_words_within_ten_seconds() {
    let world = Inventory(vec![SimService { does: Does::Crashes(3), delay: 500, lasts: 100 }]);
    let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(world));
    let begun = tokio::time::Instant::now();
    let stack = "sim".parse().unwrap();
    let evaluation = settle(&swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(60), |_| {}).await;
    assert_eq!(brief(&evaluation), "crash-loop s0 exit 3");
    let Evaluation::Failed(failures) = evaluation else { unreachable!() };
    assert_eq!(failures[0].excerpt, ["last words of task-0-2"], "{}", failures[0].message);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_unhealthy_and_ends_well_when_it_is_told_to_is_called_unhealthy() {
    let told = async |unhealthy: &str| {
        let world = Inventory(vec![SimService { does: Does::Crashes(0), delay: 500, lasts: 100 }]);
        let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(world).with_unhealthy(unhealthy));
        let stack = "sim".parse().unwrap();
        let evaluation = settle(&swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(60), |_| {}).await;
        let Evaluation::Failed(failures) = &evaluation else { panic!("{evaluation:?}") };
        (brief(&evaluation), failures[0].message.contains("its health check had failed; the check itself said: GET /health: 500"))
    };
    assert_eq!(told("container-0-2").await, ("unhealthy s0".into(), true));
    assert_eq!(told("another").await, ("crash-loop s0 exit 0".into(), false));
}

#[tokio::test(start_paused = true)]
async fn the_driver_settles_five_seconds_after_the_last_task_runs() {
    let world = Inventory(vec![SimService { does: Does::Serves(20_000), delay: 500, lasts: 0 }]);
    let ready = world.ready(0).unwrap();
    let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(world));
    let begun = tokio::time::Instant::now();
    let stack = "sim".parse().unwrap();
    let mut looks = 0;
    let count = |seen: harness::engine::steps::shared::settle::Seen<'_>| {
        looks += u32::from(matches!(seen, harness::engine::steps::shared::settle::Seen::Looked(..)))
    };
    let evaluation = settle(&swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(60), count).await;
    assert_eq!(brief(&evaluation), "settled");
    let late = begun.elapsed().saturating_sub(Duration::from_millis(ready + 5_000));
    assert!(late <= Duration::from_millis(200), "{late:?} late");
    assert!(looks <= 24, "{looks} looks");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_names_what_was_waited_for() {
    let world = Inventory(vec![SimService { does: Does::Serves(90_000), delay: 500, lasts: 0 }]);
    let (clock, swarm) = (SystemClock::start(), SimSwarm::begin(world));
    let stack = "sim".parse().unwrap();
    let evaluation = settle(&swarm, &clock, &stack, Watch::new(Goal::Settle), Duration::from_secs(30), |_| {}).await;
    let Evaluation::Failed(failures) = evaluation else { panic!("{evaluation:?}") };
    assert!(
        failures[0].message.contains("not settled within 30 s; still waiting for sim_s0: starting 0/1"),
        "{}",
        failures[0].message
    );
}
