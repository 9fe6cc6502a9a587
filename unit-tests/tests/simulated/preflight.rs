//! Hosts that are not fit, one row each: what the preflight says of them, and what a run on them ends with.

use std::{collections::BTreeMap, time::Duration};

use harness::{
    model::{
        engine::{Engine, Port, Room, SwarmError, Taken},
        host::Limits,
        object::ObjectKind,
        outcome::{Failure, Owner},
        time::Wall,
    },
    pure::host::{
        inventory::Inventory,
        preflight::{Check, Finding, Lookup, MachineView, Needs, Readings, Topic, preflight, unfit},
    },
};
use unit_tests::{
    sim_inventory::object,
    sim_machine::{engine, room, swarm},
};

/// A host on which all is well.
fn fit() -> Readings {
    let objects = BTreeMap::from([object(ObjectKind::Network, "proxy", None)]);
    Readings {
        socket: "/run/engine.sock".into(),
        engine: Some(Ok(engine())),
        now: Some(Wall::from_millis(0)),
        inventory: Some(Ok(Inventory { engine: swarm(), objects, files: BTreeMap::new(), snapshots: BTreeMap::new() })),
        room: Some(Ok(room())),
        abra: Some(Ok("0.10.0".into())),
        behind: Some(("default".into(), Ok(swarm()))),
        machine: Some(MachineView {
            name: ("here".into(), "6.1".into()),
            memory: Some(4 << 30),
            engine_room: Some(50 << 30),
            results_room: Some(50 << 30),
            ipvs: true,
            tried: Some(("traefik".into(), Ok(true))),
            ..MachineView::default()
        }),
        browser: Some(Ok("/usr/bin/chromium".into())),
        registry: Some(Lookup::AllThere),
    }
}

fn needs() -> Needs {
    Needs { memory: 1 << 30, ports: [port(64738)].into(), networks: 1, addresses: 2, images: ["nginx:1".parse().unwrap()].into() }
}

fn port(number: u16) -> Port {
    Port { number, udp: false }
}

fn judged(readings: &Readings) -> Vec<Check> {
    preflight(readings, &needs(), &Limits::default(), Some(&"shop_taster_test".parse().unwrap()))
}

/// What is said about `topic`, the worst first.
#[track_caller]
fn about(readings: &Readings, topic: Topic) -> Check {
    let checks = judged(readings);
    let worst = checks.iter().filter(|check| check.topic == topic).max_by_key(|check| check.finding);
    worst.unwrap_or_else(|| panic!("nothing is said about {topic}: {checks:?}")).clone()
}

#[test]
fn a_fit_host_is_ok_in_everything() {
    let checks = judged(&fit());
    assert!(checks.iter().all(|check| check.finding == Finding::Ok && check.remedy.is_none()), "{checks:#?}");
    let topics: Vec<Topic> = checks.iter().map(|check| check.topic).collect();
    assert!(topics.is_sorted() && topics.len() == 14, "{topics:?}");
    assert_eq!(unfit(&checks), None);
}

#[test]
fn what_was_not_read_has_no_check() {
    assert_eq!(judged(&Readings::default()), []);
}

/// A change of a fit host, the topic that it is about, what is found, and words that are said.
type Row = (fn(&mut Readings), Topic, Finding, &'static str);

fn on_engine(readings: &mut Readings) -> &mut Engine {
    readings.engine.as_mut().unwrap().as_mut().unwrap()
}

fn on_room(readings: &mut Readings) -> &mut Room {
    readings.room.as_mut().unwrap().as_mut().unwrap()
}

fn on_machine(readings: &mut Readings) -> &mut MachineView {
    readings.machine.as_mut().unwrap()
}

fn refused(call: &str) -> SwarmError {
    SwarmError::Refused { call: call.into(), message: "This node is not a swarm manager.".into() }
}

const ROWS: &[Row] = &[
    (|r| on_engine(r).api = "1.40".into(), Topic::Engine, Finding::Unfit, "too old: taster needs API 1.41"),
    (|r| on_engine(r).api = "1.100".into(), Topic::Engine, Finding::Ok, "API 1.100"),
    (|r| on_engine(r).api = "new".into(), Topic::Engine, Finding::Notice, "does not report its API"),
    (|r| on_engine(r).rootless = true, Topic::Engine, Finding::Unfit, "rootless"),
    (
        |r| r.engine = Some(Err(SwarmError::Absent { socket: "/x".into() })),
        Topic::Engine,
        Finding::Unfit,
        "no engine answers at /x",
    ),
    (
        |r| {
            on_engine(r).worker = true;
            on_engine(r).swarm = None;
            r.inventory = Some(Err(refused("services")));
            r.room = Some(Err(refused("swarm")));
        },
        Topic::Swarm,
        Finding::Unfit,
        "a worker of its Swarm",
    ),
    (|r| on_engine(r).swarm = None, Topic::Swarm, Finding::Unfit, "not a Swarm manager"),
    (|r| r.abra = Some(Err(("no abra".into(), "name it".into()))), Topic::Abra, Finding::Unfit, "no abra"),
    (
        |r| r.behind = Some(("far".into(), Ok("swarm2".parse().unwrap()))),
        Topic::SameSwarm,
        Finding::Unfit,
        "another Swarm (swarm2)",
    ),
    (|r| r.behind = Some(("far".into(), Err("ssh".into()))), Topic::SameSwarm, Finding::Unknown, "shows at the deploy"),
    (|r| on_room(r).proxy = None, Topic::Proxy, Finding::Unfit, "no overlay network `proxy`"),
    (|r| on_room(r).proxy = Some(("10.0.1.0/29".into(), 5)), Topic::Proxy, Finding::Unfit, "1 of 6 addresses"),
    (|r| on_room(r).proxy = Some(("10.0.1.0/29".into(), 4)), Topic::Proxy, Finding::Ok, "2 of 6 addresses"),
    (|r| on_room(r).pools = vec!["10.0.0.0/23".into()], Topic::Addresses, Finding::Unfit, "0 subnets are left"),
    (|r| on_room(r).pools = vec!["10.0.0.0/22".into()], Topic::Addresses, Finding::Ok, "2 subnets are left"),
    (
        |r| on_room(r).subnets = vec!["10.0.0.0/9".into(), "10.0.0.128/25".into(), "192.168.0.0/16".into()],
        Topic::Addresses,
        Finding::Ok,
        "32768 subnets are left",
    ),
    (|r| on_room(r).pools = Vec::new(), Topic::Addresses, Finding::Unknown, "does not report"),
    (
        |r| on_room(r).ports = [Taken { port: port(64738), by: "service mumble_app".into() }].into(),
        Topic::Ports,
        Finding::Unfit,
        "publishes port 64738/tcp, which service mumble_app holds",
    ),
    (|r| on_machine(r).listening = [port(64738)].into(), Topic::Ports, Finding::Unfit, "a program of the machine holds"),
    (|r| on_machine(r).listening = [Port { number: 64738, udp: true }].into(), Topic::Ports, Finding::Ok, "free: 64738/tcp"),
    (|r| on_machine(r).engine_room = Some(900 << 20), Topic::Disk, Finding::Unfit, "900 MiB are free where the engine keeps"),
    (|r| on_machine(r).results_room = Some(0), Topic::Disk, Finding::Unfit, "0 MiB are free where the results go"),
    (
        |r| on_machine(r).memory = Some(500 << 20),
        Topic::Memory,
        Finding::Unfit,
        "500 MiB of memory are free, and 1024 MiB have to be",
    ),
    (|r| on_machine(r).ipvs = false, Topic::Ipvs, Finding::Ok, "the address of service traefik answers"),
    (
        |r| {
            on_machine(r).ipvs = false;
            on_machine(r).tried = None;
        },
        Topic::Ipvs,
        Finding::Notice,
        "the kernel has no IPVS",
    ),
    (|r| on_machine(r).tried = Some(("traefik".into(), Ok(false))), Topic::Ipvs, Finding::Notice, "does not answer"),
    (
        |r| on_machine(r).tried = Some(("traefik".into(), Err("root".into()))),
        Topic::Ipvs,
        Finding::Unknown,
        "could not be tried: root",
    ),
    (|r| on_machine(r).tried = None, Topic::Ipvs, Finding::Unknown, "no service address is there"),
    (
        |r| {
            r.registry =
                Some(Lookup::Answered { image: "nginx:1".parse().unwrap(), took: Duration::from_millis(340), answer: Ok(()) });
        },
        Topic::Registry,
        Finding::Ok,
        "answers in 0.3 s",
    ),
    (
        |r| {
            r.registry = Some(Lookup::Answered {
                image: "nginx:1".parse().unwrap(),
                took: Duration::from_secs(10),
                answer: Err(SwarmError::Silent { call: "registry look-up".into(), after: Duration::from_secs(10) }),
            });
        },
        Topic::Registry,
        Finding::Notice,
        "no answer for nginx:1 after 10 s",
    ),
    (
        |r| r.registry = Some(Lookup::Unread(SwarmError::Silent { call: "images".into(), after: Duration::from_secs(8) })),
        Topic::Registry,
        Finding::Unknown,
        "whether the images are there is not known: the engine did not answer images within 8s",
    ),
    (
        |r| r.registry = Some(Lookup::NotAsked { absent: "nginx:1".parse().unwrap() }),
        Topic::Registry,
        Finding::Unfit,
        "the run is offline",
    ),
    (|r| on_engine(r).clock = Some(Wall::from_millis(90_000)), Topic::Clock, Finding::Notice, "90 s ahead of ours"),
    (|r| r.now = Some(Wall::from_millis(3_600_000)), Topic::Clock, Finding::Notice, "60 min behind ours"),
    (
        |r| {
            let inventory = r.inventory.as_mut().unwrap().as_mut().unwrap();
            inventory.objects.extend([object(ObjectKind::Volume, "shop_taster_test_data", None)]);
        },
        Topic::Names,
        Finding::Unfit,
        "has the app's name already: volume shop_taster_test_data",
    ),
    (
        |r| {
            let inventory = r.inventory.as_mut().unwrap().as_mut().unwrap();
            inventory.objects.extend([object(ObjectKind::Service, "odd", Some("shop_taster_test"))]);
        },
        Topic::Names,
        Finding::Unfit,
        "already bears our name: service odd",
    ),
];

#[test]
fn each_bad_world_is_named_with_its_remedy() {
    for (spoil, topic, finding, words) in ROWS {
        let mut readings = fit();
        spoil(&mut readings);
        let check = about(&readings, *topic);
        assert_eq!(check.finding, *finding, "{topic}: {}", check.sentence);
        assert!(check.sentence.contains(words), "{topic}: {:?} should say {words:?}", check.sentence);
        assert_eq!(check.remedy.is_some(), matches!(check.finding, Finding::Notice | Finding::Unfit), "{check:?}");
        assert_eq!(check.owner, Owner::Infrastructure, "a host is never the recipe's fault");
        if *finding == Finding::Unfit {
            let checks = judged(&readings);
            assert_eq!(unfit(&checks).map(|check| check.topic), Some(*topic), "one fault is told once: {checks:#?}");
            assert_eq!(Failure::from(&check).owner, Owner::Infrastructure);
        }
    }
}

#[test]
fn what_only_the_engines_own_machine_could_tell_is_unknown_elsewhere() {
    let mut readings = fit();
    on_engine(&mut readings).machine = "there".into();
    on_machine(&mut readings).listening = [port(64738)].into();
    on_machine(&mut readings).memory = Some(0);
    on_machine(&mut readings).engine_room = Some(0);
    for topic in [Topic::Disk, Topic::Memory, Topic::Ipvs] {
        assert_eq!(about(&readings, topic).finding, Finding::Unknown, "{topic}");
    }
    assert_eq!(about(&readings, Topic::Ports).finding, Finding::Ok, "what listens here says nothing of there");
    // A machine that is too small as a whole is too small, wherever it is.
    on_engine(&mut readings).memory = Some(512 << 20);
    assert_eq!(about(&readings, Topic::Memory).finding, Finding::Unfit);
}

#[test]
fn what_the_host_file_demands_counts() {
    let limits = Limits { free_disk_mib: 60 << 10, ..Limits::default() };
    let checks = preflight(&fit(), &needs(), &limits, None);
    assert_eq!(unfit(&checks).map(|check| check.topic), Some(Topic::Disk));
    assert!(checks.iter().all(|check| check.topic != Topic::Names), "without an app there is no name");
}
