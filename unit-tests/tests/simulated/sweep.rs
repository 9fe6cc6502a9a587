//! A sweep against a simulated world that refuses, lags, and lets the sweeper die after any call. The checks take the decision
//! as an argument, so that the controls at the end can show that each of them would notice a wrong one.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use harness::{
    adapters::clock::SystemClock,
    engine::steps::cleanup::{CleanupReport, Outside, Pace, cleanup_until_empty_by},
    journal::Journal,
    model::{
        names::{EngineId, RunId, StackName},
        object::{ObjectId, ObjectKind},
    },
    ports::Child,
    pure::host::{
        claim::{Claim, Claimed},
        cleanup_plan::{CleanupPlan, sweep},
        inventory::{Inventory, Object},
    },
};
use proptest::prelude::*;
use unit_tests::{
    sim_data::{Restores, SimData},
    sim_inventory::{SimInventory, object, using},
};

const STACK: &str = "hello-k3v7q2m7_taster_test";
const RUN: &str = "20261121-101502-k3v7q2m7";
const ENV_FILE: &str = "/srv/servers/default/hello.env";

/// How a sweep is done: the decision, and how many empty looks it wants.
#[derive(Clone, Copy)]
struct Way {
    decide: fn(&[Claim], &Inventory) -> CleanupPlan,
    empty_observations: u32,
}

const RIGHT: Way = Way { decide: sweep, empty_observations: 2 };

fn run() -> RunId {
    RUN.parse().unwrap()
}

fn engine() -> EngineId {
    "swarm1".parse().unwrap()
}

fn stack() -> StackName {
    STACK.parse().unwrap()
}

static CLAIMS: LazyLock<Vec<Claim>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(dir.path(), run(), Arc::new(SystemClock::start())).unwrap();
    let whats = [
        Claimed::Stack { name: stack() },
        Claimed::EnvFile { path: ENV_FILE.into() },
        Claimed::Marker { name: format!("taster-{RUN}") },
    ];
    whats.into_iter().map(|what| journal.claim(what, &engine()).unwrap().0).collect()
});

fn child() -> Child {
    Child { run: run(), pid: 4242, start_ticks: 1, doing: "abra app deploy".into() }
}

type Thing = (ObjectId, Object);

/// What a run leaves: labelled as `docker stack deploy` does it, and unlabelled as abra does it.
fn ours() -> Vec<Thing> {
    use ObjectKind::{Config, Container, Network, Secret, Service, Task, Volume};
    let name = |rest: &str| format!("{STACK}_{rest}");
    let net = object(Network, &name("default"), Some(STACK));
    let data = object(Volume, &name("data"), Some(STACK));
    let password = object(Secret, &name("password_v1"), None);
    let settings = object(Config, &name("settings_v1"), Some(STACK));
    let app = using(object(Service, &name("app"), Some(STACK)), &[&net, &data, &password, &settings]);
    let db = using(object(Service, &name("db"), Some(STACK)), &[&net]);
    let container = using(object(Container, &name("app.1.a"), Some(STACK)), &[&net, &data]);
    let old = using(object(Container, &name("app.1.0"), Some(STACK)), &[&data]);
    let task = object(Task, &name("app.1.b"), Some(STACK));
    let marker = object(Config, &format!("taster-{RUN}"), None);
    vec![net, data, password, settings, app, db, container, old, task, marker]
}

/// What others have, with names that begin like ours.
fn others() -> Vec<Thing> {
    use ObjectKind::{Config, Container, Network, Secret, Service, Volume};
    let longer = format!("{STACK}_extra");
    let net = object(Network, &format!("{longer}_default"), Some(&longer));
    let secret = object(Secret, &format!("{longer}_password_v1"), None);
    let service = using(object(Service, &format!("{longer}_app"), Some(&longer)), &[&net, &secret]);
    let container = using(object(Container, &format!("{longer}_app.1.a"), Some(&longer)), &[&net]);
    let plain = [
        object(Volume, &format!("{STACK}x_data"), None),
        object(Volume, &format!("{STACK}-2_data"), None),
        object(Volume, STACK, None),
        object(Secret, &format!("x{STACK}_password_v1"), None),
        object(Config, &format!("{STACK}_settings_v2"), Some("inn")),
        object(Config, &format!("taster-{RUN}x"), None),
        object(Secret, &format!("taster-{RUN}"), None),
    ];
    [net, secret, service, container].into_iter().chain(plain).collect()
}

fn world(things: impl IntoIterator<Item = Thing>) -> Inventory {
    let files = [ENV_FILE, "/srv/servers/default/hello.env.bak"];
    Inventory {
        engine: engine(),
        objects: things.into_iter().collect(),
        files: files.into_iter().map(|path| (path.into(), "x".into())).collect(),
        snapshots: BTreeMap::new(),
    }
}

fn start() -> Inventory {
    world(ours().into_iter().chain(others()))
}

/// One life of a sweeper: to its end, or to its death.
async fn life(way: Way, sim: &SimInventory, claims: &[Claim], children: &[Child]) -> Option<CleanupReport> {
    let outside = Outside { swarm: sim, files: sim, data: &SimData::default(), children: sim, clock: sim };
    let pace = Pace {
        budget: Duration::from_secs(30),
        poll: Duration::ZERO,
        patience: Duration::from_secs(1),
        empty_observations: way.empty_observations,
        settle: Duration::ZERO,
    };
    tokio::select! {
        biased;
        () = sim.death() => None,
        swept = cleanup_until_empty_by(way.decide, outside, claims, children, pace) => Some(swept.unwrap()),
    }
}

/// Lives one after another: each of `deaths` calls, then one that nothing ends.
fn lives(way: Way, sim: &SimInventory, deaths: &[u32], children: &[Child]) -> CleanupReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for calls in deaths {
            sim.dies_after(Some(*calls));
            if let Some(swept) = life(way, sim, &CLAIMS, children).await {
                return swept;
            }
        }
        sim.dies_after(None);
        life(way, sim, &CLAIMS, children).await.unwrap()
    })
}

/// The end that every story must come to: nothing of ours, everything of others as it was, and the sweep knows it.
fn judge(what: &str, sim: &SimInventory, swept: &CleanupReport) -> Result<(), String> {
    let (end, wanted) = (sim.in_the_end(), world(others()));
    let names = |things: &BTreeMap<ObjectId, Object>, but: &BTreeMap<ObjectId, Object>| -> Vec<String> {
        things.iter().filter(|(id, object)| but.get(*id) != Some(*object)).map(|(_, object)| object.name.clone()).collect()
    };
    let (left, hurt) = (names(&end.objects, &wanted.objects), names(&wanted.objects, &end.objects));
    match () {
        () if !left.is_empty() => Err(format!("{what}: left: {left:?}")),
        () if !hurt.is_empty() => Err(format!("{what}: others were touched: {hurt:?}")),
        () if end.files.keys().map(|path| path.to_string_lossy()).ne(["/srv/servers/default/hello.env.bak"]) => {
            Err(format!("{what}: files: {:?}", end.files))
        }
        () if !swept.clean() || swept.released.len() != 3 => Err(format!("{what}: it does not know: {swept:?}")),
        () => Ok(()),
    }
}

fn dies_after_every_call(way: Way) -> Result<(), String> {
    let sim = SimInventory::new(start());
    let swept = lives(way, &sim, &[], &[]);
    judge("undisturbed", &sim, &swept)?;
    for calls in 1..=60 {
        let sim = SimInventory::new(start()).with_child(&stack());
        let swept = lives(way, &sim, &[calls], &[child()]);
        judge(&format!("died after call {calls}"), &sim, &swept)?;
    }
    // Each life is just long enough to look and to act a little.
    let sim = SimInventory::new(start());
    let swept = lives(way, &sim, &[4; 40], &[]);
    judge("died again and again", &sim, &swept)
}

fn waits_for_what_is_refused(way: Way) -> Result<(), String> {
    for (id, _) in ours().iter().filter(|(id, _)| id.kind != ObjectKind::Task) {
        for times in [1, 3, 7] {
            let sim = SimInventory::new(start()).refuses(id, times);
            let swept = lives(way, &sim, &[], &[]);
            judge(&format!("{id:?} refused {times} times"), &sim, &swept)?;
        }
    }
    Ok(())
}

fn sees_what_appears_late(way: Way) -> Result<(), String> {
    let sim = SimInventory::new(start());
    let looks = lives(RIGHT, &sim, &[], &[]).looks;
    for late in ours() {
        // Whatever was begun before the first look shows by the look after the first empty one.
        for at in 1..=looks {
            let rest = ours().into_iter().filter(|(id, _)| *id != late.0 && late.0.kind != ObjectKind::Service);
            let sim = SimInventory::new(world(rest.chain(others())));
            let last = lives(RIGHT, &sim, &[], &[]).looks;
            let rest = ours().into_iter().filter(|(id, _)| *id != late.0 && late.0.kind != ObjectKind::Service);
            let sim = SimInventory::new(world(rest.chain(others()))).appears(at.min(last), late.clone());
            let swept = lives(way, &sim, &[], &[]);
            judge(&format!("{} appeared at look {}", late.1.name, at.min(last)), &sim, &swept)?;
        }
    }
    Ok(())
}

fn is_idempotent(way: Way) -> Result<(), String> {
    let sim = SimInventory::new(start());
    lives(way, &sim, &[], &[]);
    let (world, removals) = (sim.now(), sim.removals());
    let again = lives(way, &sim, &[], &[]);
    match (sim.now() == world, sim.removals() == removals && again.removed.is_empty()) {
        (true, true) => Ok(()),
        unlike => Err(format!("the second sweep acts: {unlike:?}")),
    }
}

const CHECKS: [fn(Way) -> Result<(), String>; 4] =
    [dies_after_every_call, waits_for_what_is_refused, sees_what_appears_late, is_idempotent];

#[test]
fn the_sweep_comes_to_zero_wherever_it_dies() {
    dies_after_every_call(RIGHT).unwrap();
}

#[test]
fn the_sweep_waits_for_what_is_refused_for_a_while() {
    waits_for_what_is_refused(RIGHT).unwrap();
}

#[test]
fn the_sweep_sees_what_appears_late() {
    sees_what_appears_late(RIGHT).unwrap();
}

#[test]
fn a_second_sweep_does_nothing() {
    is_idempotent(RIGHT).unwrap();
}

#[test]
fn what_others_hold_ends_the_sweep_and_is_named() {
    let volume = object(ObjectKind::Volume, &format!("{STACK}_data"), Some(STACK));
    let holder = using(object(ObjectKind::Container, "dump", None), &[&volume]);
    let sim = SimInventory::new(world(ours().into_iter().chain(others()).chain([holder.clone()])));
    let swept = lives(RIGHT, &sim, &[], &[]);
    let left: Vec<String> = swept.leaked.iter().map(ToString::to_string).collect();
    let expected = [
        format!("volume {STACK}_data: used by container dump"),
        format!("config taster-{RUN}: it goes after everything else of the run"),
    ];
    assert_eq!(left, expected);
    assert_eq!(sim.now().objects.get(&holder.0), Some(&holder.1));
    assert_eq!(swept.released.len(), 1, "only the file is known to be gone");
}

#[test]
fn a_refusal_without_end_is_named_when_the_time_is_over() {
    let secret = object(ObjectKind::Secret, &format!("{STACK}_password_v1"), None);
    let sim = SimInventory::new(start()).refuses(&secret.0, u32::MAX);
    let swept = lives(RIGHT, &sim, &[], &[]);
    let said = format!("secret {STACK}_password_v1: the engine refuses remove secret {STACK}_password_v1: not now");
    assert!(swept.leaked.iter().any(|left| left.to_string() == said), "{:?}", swept.leaked);
    assert!(!swept.clean());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_end_is_the_same(
        deaths in prop::collection::vec(1u32..30, 0..8),
        refusals in prop::collection::vec((0usize..10, 0u32..5), 0..6),
        late in prop::collection::vec((0usize..10, 1u32..5), 0..4),
        with_child in any::<bool>(),
    ) {
        let ours = ours();
        let delayed: BTreeMap<usize, u32> = late.into_iter().collect();
        let there = ours.iter().enumerate().filter(|(at, _)| !delayed.contains_key(at)).map(|(_, thing)| thing.clone());
        let mut sim = SimInventory::new(world(there.chain(others())));
        for (at, look) in &delayed {
            sim = sim.appears(*look, ours[*at].clone());
        }
        for (at, times) in refusals {
            sim = sim.refuses(&ours[at].0, times);
        }
        let children = if with_child { sim = sim.with_child(&stack()); vec![child()] } else { vec![] };
        let swept = lives(RIGHT, &sim, &deaths, &children);
        prop_assert_eq!(judge("schedule", &sim, &swept), Ok(()));
    }
}

fn seeing(world: &Inventory, keep: impl Fn(&ObjectId, &Object) -> bool) -> Inventory {
    let mut seen = world.clone();
    seen.objects.retain(|id, object| keep(id, object));
    seen
}

/// Sweeps with one truth removed. Each must fail at least one of the checks, or the checks are worth nothing.
#[test]
fn wrong_sweeps_are_noticed() {
    let skips_configs: fn(&[Claim], &Inventory) -> CleanupPlan =
        |claims, world| sweep(claims, &seeing(world, |id, _| id.kind != ObjectKind::Config));
    let believes_labels_only: fn(&[Claim], &Inventory) -> CleanupPlan =
        |claims, world| sweep(claims, &seeing(world, |_, object| object.stack.is_some()));
    let believes_names_only: fn(&[Claim], &Inventory) -> CleanupPlan = |claims, world| {
        let mut blind = world.clone();
        blind.objects.values_mut().for_each(|object| object.stack = None);
        sweep(claims, &blind)
    };
    let does_not_wait: fn(&[Claim], &Inventory) -> CleanupPlan = |claims, world| {
        let mut now = sweep(claims, world);
        now.waiting.clear();
        now
    };
    for (what, way) in [
        ("skips configs", Way { decide: skips_configs, ..RIGHT }),
        ("returns after one empty look", Way { empty_observations: 1, ..RIGHT }),
        ("believes labels only", Way { decide: believes_labels_only, ..RIGHT }),
        ("believes names only", Way { decide: believes_names_only, ..RIGHT }),
        ("does not wait for what goes by itself", Way { decide: does_not_wait, ..RIGHT }),
    ] {
        let noticed = CHECKS.iter().filter_map(|check| check(way).err()).count();
        assert!(noticed > 0, "a sweep that {what} passes all checks");
    }
}

#[test]
fn snapshots_that_nobody_can_list_or_that_are_kept_stay_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(dir.path(), run(), Arc::new(SystemClock::start())).unwrap();
    let what = Claimed::Snapshots { app: "hello-k3v7q2m7.taster.test".parse().unwrap(), service: "bot".parse().unwrap() };
    let claims = [journal.claim(what.clone(), &engine()).unwrap().0];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for (restores, known, removed) in [(Restores::Well, true, 1), (Restores::Mute, false, 0), (Restores::Keeping, false, 0)] {
        let (sim, data) = (SimInventory::new(world(others())), SimData::that(restores));
        data.back_up();
        let outside = Outside { swarm: &sim, files: &sim, data: &data, children: &sim, clock: &sim };
        let pace = Pace { poll: Duration::ZERO, ..Pace::default() };
        let swept = runtime.block_on(cleanup_until_empty_by(cleanup_plan, outside, &claims, &[], pace)).unwrap();
        assert_eq!((swept.clean(), swept.released.contains(&what)), (known, known), "{restores:?}: {swept:?}");
        assert_eq!(swept.removed.len(), removed, "what is kept was not removed, however often it was asked for: {swept:?}");
        assert_eq!(data.ids().is_empty(), known);
    }
}
