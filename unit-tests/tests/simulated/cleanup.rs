//! Cleanup against a simulated Swarm that refuses, lags, and kills the cleanup after any call. The checks take the decision as an
//! argument, so that wrong decisions at the end show that the checks notice them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use harness::{
    adapters::clock::SystemClock,
    engine::steps::shared::cleanup::{CleanupPorts, CleanupReport, Pace, cleanup_until_empty_by},
    journal::Journal,
    model::{
        names::{RunId, StackName, SwarmId},
        object::{ObjectId, ObjectKind},
    },
    ports::Child,
    pure::host::{
        claim::{Claim, Claimed},
        cleanup_plan::{CleanupPlan, cleanup_plan},
        inventory::{Inventory, Object},
    },
};
use proptest::prelude::*;
use unit_tests::{
    sim_data::{RestoreBehaviour, SimData},
    sim_inventory::{SimInventory, object, using},
};

const STACK: &str = "hello-k3v7q2m7_taster_test";
const RUN: &str = "20261121-101502-k3v7q2m7";

/// The run's folder.
static RUN_DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn env_file() -> PathBuf {
    RUN_DIR.path().join("abra/servers/default/hello.env")
}

/// A variant of cleanup: its decision, and how many empty inventories in a row it wants.
#[derive(Clone, Copy)]
struct Variant {
    decide: fn(&[Claim], &Inventory) -> CleanupPlan,
    empty_inventories: u32,
}

const RIGHT: Variant = Variant { decide: cleanup_plan, empty_inventories: 2 };

fn run() -> RunId {
    RUN.parse().unwrap()
}

fn engine() -> SwarmId {
    "swarm1".parse().unwrap()
}

fn stack() -> StackName {
    STACK.parse().unwrap()
}

static CLAIMS: LazyLock<Vec<Claim>> = LazyLock::new(|| {
    let journal = Journal::create(RUN_DIR.path(), run(), Arc::new(SystemClock::start())).unwrap();
    let whats = [
        Claimed::Stack { name: stack() },
        Claimed::EnvFile { path: env_file() },
        Claimed::Marker { name: format!("taster-{RUN}") },
    ];
    whats.into_iter().map(|what| journal.claim(what, &engine()).unwrap().0).collect()
});

fn child() -> Child {
    Child { run: run(), pid: 4242, start_ticks: 1, doing: "abra app deploy".into() }
}

type Thing = (ObjectId, Object);

/// The objects of a run: labelled as `docker stack deploy` does it, and unlabelled as abra does it.
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

/// Objects of others, with names that begin like ours.
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

fn inventory(things: impl IntoIterator<Item = Thing>) -> Inventory {
    let files = [env_file(), "/srv/servers/default/hello.env.bak".into()];
    Inventory {
        engine: engine(),
        objects: things.into_iter().collect(),
        files: files.into_iter().map(|path| (path, "x".into())).collect(),
        snapshots: BTreeMap::new(),
    }
}

fn start() -> Inventory {
    inventory(ours().into_iter().chain(others()))
}

/// One cleanup; absent when it was killed.
async fn cleaned(variant: Variant, sim: &SimInventory, claims: &[Claim], children: &[Child]) -> Option<CleanupReport> {
    let outside = CleanupPorts { swarm: sim, files: sim, data: &SimData::default(), children: sim, clock: sim };
    let pace = Pace {
        budget: Duration::from_secs(30),
        poll: Duration::ZERO,
        blocked_timeout: Duration::from_secs(1),
        empty_inventories: variant.empty_inventories,
        settle: Duration::ZERO,
    };
    tokio::select! {
        biased;
        () = sim.crashed() => None,
        report = cleanup_until_empty_by(variant.decide, outside, claims, children, pace) => Some(report.unwrap()),
    }
}

/// Cleanups one after another: each is killed after so many calls of `kills`, the last one is not.
fn cleanups(variant: Variant, sim: &SimInventory, kills: &[u32], children: &[Child]) -> CleanupReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for calls in kills {
            sim.crash_after(Some(*calls));
            if let Some(report) = cleaned(variant, sim, &CLAIMS, children).await {
                return report;
            }
        }
        sim.crash_after(None);
        cleaned(variant, sim, &CLAIMS, children).await.unwrap()
    })
}

/// The required end: nothing of ours is left, the objects of others are as they were, and the report says so.
fn check(what: &str, sim: &SimInventory, report: &CleanupReport) -> Result<(), String> {
    let (end, wanted) = (sim.in_the_end(), inventory(others()));
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
        () if !report.clean() || report.released.len() != 3 => Err(format!("{what}: the report is wrong: {report:?}")),
        () => Ok(()),
    }
}

fn ends_clean_after_a_kill_at_any_call(variant: Variant) -> Result<(), String> {
    let sim = SimInventory::new(start());
    let report = cleanups(variant, &sim, &[], &[]);
    check("undisturbed", &sim, &report)?;
    for calls in 1..=60 {
        let sim = SimInventory::new(start()).with_child(&stack());
        let report = cleanups(variant, &sim, &[calls], &[child()]);
        check(&format!("killed after call {calls}"), &sim, &report)?;
    }
    // Each cleanup lives just long enough for an observation and a few removals.
    let sim = SimInventory::new(start());
    let report = cleanups(variant, &sim, &[4; 40], &[]);
    check("killed again and again", &sim, &report)
}

fn repeats_a_refused_removal(variant: Variant) -> Result<(), String> {
    for (id, _) in ours().iter().filter(|(id, _)| id.kind != ObjectKind::Task) {
        for times in [1, 3, 7] {
            let sim = SimInventory::new(start()).refuses(id, times);
            let report = cleanups(variant, &sim, &[], &[]);
            check(&format!("{id:?} refused {times} times"), &sim, &report)?;
        }
    }
    Ok(())
}

fn removes_an_object_that_appears_late(variant: Variant) -> Result<(), String> {
    let sim = SimInventory::new(start());
    let observations = cleanups(RIGHT, &sim, &[], &[]).observations;
    for late in ours() {
        // An object that was begun before the first observation shows by the observation after the first empty one.
        for at in 1..=observations {
            let rest = ours().into_iter().filter(|(id, _)| *id != late.0 && late.0.kind != ObjectKind::Service);
            let sim = SimInventory::new(inventory(rest.chain(others())));
            let last = cleanups(RIGHT, &sim, &[], &[]).observations;
            let rest = ours().into_iter().filter(|(id, _)| *id != late.0 && late.0.kind != ObjectKind::Service);
            let sim = SimInventory::new(inventory(rest.chain(others()))).appears(at.min(last), late.clone());
            let report = cleanups(variant, &sim, &[], &[]);
            check(&format!("{} appeared at observation {}", late.1.name, at.min(last)), &sim, &report)?;
        }
    }
    Ok(())
}

fn is_idempotent(variant: Variant) -> Result<(), String> {
    let sim = SimInventory::new(start());
    cleanups(variant, &sim, &[], &[]);
    let (inventory, removals) = (sim.now(), sim.removals());
    let again = cleanups(variant, &sim, &[], &[]);
    match (sim.now() == inventory, sim.removals() == removals && again.removed.is_empty()) {
        (true, true) => Ok(()),
        unlike => Err(format!("the second cleanup acts: {unlike:?}")),
    }
}

const CHECKS: [fn(Variant) -> Result<(), String>; 4] =
    [ends_clean_after_a_kill_at_any_call, repeats_a_refused_removal, removes_an_object_that_appears_late, is_idempotent];

#[test]
fn cleanup_leaves_nothing_after_a_kill_at_any_call() {
    ends_clean_after_a_kill_at_any_call(RIGHT).unwrap();
}

#[test]
fn cleanup_repeats_a_removal_that_is_refused_for_a_while() {
    repeats_a_refused_removal(RIGHT).unwrap();
}

#[test]
fn cleanup_removes_an_object_that_appears_late() {
    removes_an_object_that_appears_late(RIGHT).unwrap();
}

#[test]
fn second_cleanup_does_nothing() {
    is_idempotent(RIGHT).unwrap();
}

#[test]
fn object_that_others_use_stays_and_names_its_user() {
    let volume = object(ObjectKind::Volume, &format!("{STACK}_data"), Some(STACK));
    let holder = using(object(ObjectKind::Container, "dump", None), &[&volume]);
    let sim = SimInventory::new(inventory(ours().into_iter().chain(others()).chain([holder.clone()])));
    let report = cleanups(RIGHT, &sim, &[], &[]);
    let left: Vec<String> = report.leaked.iter().map(ToString::to_string).collect();
    let expected = [
        format!("volume {STACK}_data: used by container dump"),
        format!("config taster-{RUN}: it goes after everything else of the run"),
    ];
    assert_eq!(left, expected);
    assert_eq!(sim.now().objects.get(&holder.0), Some(&holder.1));
    assert_eq!(report.released.len(), 1, "only the file is known to be gone");
}

#[test]
fn refusal_without_end_is_named_when_the_time_is_over() {
    let secret = object(ObjectKind::Secret, &format!("{STACK}_password_v1"), None);
    let sim = SimInventory::new(start()).refuses(&secret.0, u32::MAX);
    let report = cleanups(RIGHT, &sim, &[], &[]);
    let sentence = format!("secret {STACK}_password_v1: the engine refuses remove secret {STACK}_password_v1: not now");
    assert!(report.leaked.iter().any(|left| left.to_string() == sentence), "{:?}", report.leaked);
    assert!(!report.clean());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn end_is_the_same_under_kills_refusals_and_late_objects(
        kills in prop::collection::vec(1u32..30, 0..8),
        refusals in prop::collection::vec((0usize..10, 0u32..5), 0..6),
        late in prop::collection::vec((0usize..10, 1u32..5), 0..4),
        with_child in any::<bool>(),
    ) {
        let ours = ours();
        let delayed: BTreeMap<usize, u32> = late.into_iter().collect();
        let there = ours.iter().enumerate().filter(|(at, _)| !delayed.contains_key(at)).map(|(_, thing)| thing.clone());
        let mut sim = SimInventory::new(inventory(there.chain(others())));
        for (at, observation) in &delayed {
            sim = sim.appears(*observation, ours[*at].clone());
        }
        for (at, times) in refusals {
            sim = sim.refuses(&ours[at].0, times);
        }
        let children = if with_child { sim = sim.with_child(&stack()); vec![child()] } else { vec![] };
        let report = cleanups(RIGHT, &sim, &kills, &children);
        prop_assert_eq!(check("schedule", &sim, &report), Ok(()));
    }
}

fn filtered(inventory: &Inventory, keep: impl Fn(&ObjectId, &Object) -> bool) -> Inventory {
    let mut seen = inventory.clone();
    seen.objects.retain(|id, object| keep(id, object));
    seen
}

/// Decisions with one rule removed. Each of them fails at least one check, else the checks prove nothing.
#[test]
fn wrong_decisions_are_noticed() {
    let skips_configs: fn(&[Claim], &Inventory) -> CleanupPlan =
        |claims, inventory| cleanup_plan(claims, &filtered(inventory, |id, _| id.kind != ObjectKind::Config));
    let believes_labels_only: fn(&[Claim], &Inventory) -> CleanupPlan =
        |claims, inventory| cleanup_plan(claims, &filtered(inventory, |_, object| object.stack.is_some()));
    let believes_names_only: fn(&[Claim], &Inventory) -> CleanupPlan = |claims, inventory| {
        let mut blind = inventory.clone();
        blind.objects.values_mut().for_each(|object| object.stack = None);
        cleanup_plan(claims, &blind)
    };
    let does_not_wait: fn(&[Claim], &Inventory) -> CleanupPlan = |claims, inventory| {
        let mut now = cleanup_plan(claims, inventory);
        now.waiting.clear();
        now
    };
    for (what, variant) in [
        ("skips configs", Variant { decide: skips_configs, ..RIGHT }),
        ("ends after one empty inventory", Variant { empty_inventories: 1, ..RIGHT }),
        ("believes labels only", Variant { decide: believes_labels_only, ..RIGHT }),
        ("believes names only", Variant { decide: believes_names_only, ..RIGHT }),
        ("does not wait for what goes by itself", Variant { decide: does_not_wait, ..RIGHT }),
    ] {
        let noticed = CHECKS.iter().filter_map(|check| check(variant).err()).count();
        assert!(noticed > 0, "a cleanup that {what} passes all checks");
    }
}

#[test]
fn snapshots_that_cannot_be_listed_or_forgotten_stay_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(dir.path(), run(), Arc::new(SystemClock::start())).unwrap();
    let what = Claimed::Snapshots { app: "hello-k3v7q2m7.taster.test".parse().unwrap(), service: "bot".parse().unwrap() };
    let claims = [journal.claim(what.clone(), &engine()).unwrap().0];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for (restores, known, removed) in [
        (RestoreBehaviour::Works, true, 1),
        (RestoreBehaviour::CannotList, false, 0),
        (RestoreBehaviour::ForgetsNothing, false, 0),
    ] {
        let (sim, data) = (SimInventory::new(inventory(others())), SimData::restoring(restores));
        data.back_up();
        let outside = CleanupPorts { swarm: &sim, files: &sim, data: &data, children: &sim, clock: &sim };
        let pace = Pace { poll: Duration::ZERO, ..Pace::default() };
        let report = runtime.block_on(cleanup_until_empty_by(cleanup_plan, outside, &claims, &[], pace)).unwrap();
        assert_eq!((report.clean(), report.released.contains(&what)), (known, known), "{restores:?}: {report:?}");
        assert_eq!(report.removed.len(), removed, "a snapshot that the service keeps was not removed: {report:?}");
        assert_eq!(data.ids().is_empty(), known);
    }
}
