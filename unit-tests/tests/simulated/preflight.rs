//! Preflight: each property of a host that makes it unfit, or that users should know, has a finding, a sentence and a remedy.

use std::{collections::BTreeMap, time::Duration};

use harness::{
    model::{
        engine::{Engine, Port, SwarmError, SwarmResources, Taken},
        host::Limits,
        object::ObjectKind,
        outcome::{Failure, Owner},
        time::Wall,
    },
    pure::host::{
        inventory::Inventory,
        preflight::{Check, Finding, HostReadings, Lookup, MachineView, Needs, Topic, preflight, unfit},
    },
};
use unit_tests::{
    sim_inventory::object,
    sim_machine::{engine, resources, swarm},
};

/// The readings of a host without a problem.
fn fit() -> HostReadings {
    let objects = BTreeMap::from([object(ObjectKind::Network, "proxy", None)]);
    HostReadings {
        socket: "/run/engine.sock".into(),
        engine: Some(Ok(engine())),
        now: Some(Wall::from_millis(0)),
        inventory: Some(Ok(Inventory { engine: swarm(), objects, files: BTreeMap::new(), snapshots: BTreeMap::new() })),
        resources: Some(Ok(resources())),
        abra: Some(Ok("0.10.0".into())),
        behind: Some(("default".into(), Ok(swarm()))),
        machine: Some(MachineView {
            name: ("here".into(), "6.1".into()),
            memory: Some(4 << 30),
            engine_free_bytes: Some(50 << 30),
            results_free_bytes: Some(50 << 30),
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

fn checks(readings: &HostReadings) -> Vec<Check> {
    preflight(readings, &needs(), &Limits::default(), Some(&"shop_taster_test".parse().unwrap()))
}

/// The worst check of `topic`.
#[track_caller]
fn check_of(readings: &HostReadings, topic: Topic) -> Check {
    let checks = checks(readings);
    let worst = checks.iter().filter(|check| check.topic == topic).max_by_key(|check| check.finding);
    worst.unwrap_or_else(|| panic!("no check of {topic}: {checks:?}")).clone()
}

#[test]
fn fit_host_is_ok_in_every_topic() {
    let checks = checks(&fit());

    assert!(checks.iter().all(|check| check.finding == Finding::Ok && check.remedy.is_none()), "{checks:#?}");
    let topics: Vec<Topic> = checks.iter().map(|check| check.topic).collect();
    assert!(topics.is_sorted() && topics.len() == 14, "{topics:?}");
    assert_eq!(unfit(&checks), None);
}

#[test]
fn host_without_readings_has_no_checks() {
    assert_eq!(checks(&HostReadings::default()), []);
}

fn on_engine(readings: &mut HostReadings) -> &mut Engine {
    readings.engine.as_mut().unwrap().as_mut().unwrap()
}

fn on_resources(readings: &mut HostReadings) -> &mut SwarmResources {
    readings.resources.as_mut().unwrap().as_mut().unwrap()
}

fn on_machine(readings: &mut HostReadings) -> &mut MachineView {
    readings.machine.as_mut().unwrap()
}

fn on_inventory(readings: &mut HostReadings) -> &mut Inventory {
    readings.inventory.as_mut().unwrap().as_mut().unwrap()
}

fn refused(call: &str) -> SwarmError {
    SwarmError::Refused { call: call.into(), message: "This node is not a swarm manager.".into() }
}

/// Expects this finding after a change of a fit host, and `text` in its sentence.
#[track_caller]
fn assert_finding(finding: Finding, topic: Topic, text: &str, change: impl FnOnce(&mut HostReadings)) {
    let mut readings = fit();
    change(&mut readings);

    let check = check_of(&readings, topic);

    assert_eq!(check.finding, finding, "{topic}: {}", check.sentence);
    assert!(check.sentence.contains(text), "{topic}: {:?} lacks {text:?}", check.sentence);
    assert_eq!(check.remedy.is_some(), matches!(finding, Finding::Notice | Finding::Unfit), "{check:?}");
    assert_eq!(check.owner, Owner::Infrastructure, "a host is never the recipe's fault");
    if finding == Finding::Unfit {
        let checks = checks(&readings);
        assert_eq!(unfit(&checks).map(|check| check.topic), Some(topic), "one fault is reported once: {checks:#?}");
        assert_eq!(Failure::from(&check).owner, Owner::Infrastructure);
    }
}

#[track_caller]
fn assert_ok(topic: Topic, text: &str, change: impl FnOnce(&mut HostReadings)) {
    assert_finding(Finding::Ok, topic, text, change);
}

#[track_caller]
fn assert_unknown(topic: Topic, text: &str, change: impl FnOnce(&mut HostReadings)) {
    assert_finding(Finding::Unknown, topic, text, change);
}

#[track_caller]
fn assert_notice(topic: Topic, text: &str, change: impl FnOnce(&mut HostReadings)) {
    assert_finding(Finding::Notice, topic, text, change);
}

#[track_caller]
fn assert_unfit(topic: Topic, text: &str, change: impl FnOnce(&mut HostReadings)) {
    assert_finding(Finding::Unfit, topic, text, change);
}

#[test]
fn api_of_the_engine_decides_whether_it_is_new_enough() {
    assert_unfit(Topic::Engine, "too old: taster needs API 1.41", |r| on_engine(r).api = "1.40".into());
    assert_ok(Topic::Engine, "API 1.100", |r| on_engine(r).api = "1.100".into());
    assert_notice(Topic::Engine, "does not report its API", |r| on_engine(r).api = "new".into());
}

#[test]
fn rootless_or_absent_engine_is_unfit() {
    assert_unfit(Topic::Engine, "rootless", |r| on_engine(r).rootless = true);
    assert_unfit(Topic::Engine, "no engine answers at /x", |r| {
        r.engine = Some(Err(SwarmError::Absent { socket: "/x".into() }));
    });
}

#[test]
fn engine_that_does_not_manage_a_swarm_is_unfit() {
    assert_unfit(Topic::Swarm, "not a Swarm manager", |r| on_engine(r).swarm = None);
    assert_unfit(Topic::Swarm, "a worker of its Swarm", |r| {
        on_engine(r).worker = true;
        on_engine(r).swarm = None;
        r.inventory = Some(Err(refused("services")));
        r.resources = Some(Err(refused("swarm")));
    });
}

#[test]
fn missing_abra_is_unfit() {
    assert_unfit(Topic::Abra, "no abra", |r| r.abra = Some(Err(("no abra".into(), "name it".into()))));
}

#[test]
fn server_of_abra_with_another_swarm_is_unfit_and_an_unreachable_one_unknown() {
    assert_unfit(Topic::SameSwarm, "another Swarm (swarm2)", |r| {
        r.behind = Some(("far".into(), Ok("swarm2".parse().unwrap())));
    });
    assert_unknown(Topic::SameSwarm, "shows at the deploy", |r| r.behind = Some(("far".into(), Err("ssh".into()))));
}

#[test]
fn proxy_network_needs_an_address_for_each_of_the_recipe() {
    assert_unfit(Topic::Proxy, "no overlay network `proxy`", |r| on_resources(r).proxy = None);
    assert_unfit(Topic::Proxy, "1 of 6 addresses", |r| on_resources(r).proxy = Some(("10.0.1.0/29".into(), 5)));
    assert_ok(Topic::Proxy, "2 of 6 addresses", |r| on_resources(r).proxy = Some(("10.0.1.0/29".into(), 4)));
}

#[test]
fn swarm_needs_a_subnet_for_each_network_of_the_recipe() {
    assert_unfit(Topic::Addresses, "0 subnets are left", |r| on_resources(r).pools = vec!["10.0.0.0/23".into()]);
    assert_ok(Topic::Addresses, "2 subnets are left", |r| on_resources(r).pools = vec!["10.0.0.0/22".into()]);
    assert_ok(Topic::Addresses, "32768 subnets are left", |r| {
        on_resources(r).subnets = vec!["10.0.0.0/9".into(), "10.0.0.128/25".into(), "192.168.0.0/16".into()];
    });
    assert_unknown(Topic::Addresses, "does not report", |r| on_resources(r).pools = Vec::new());
}

#[test]
fn taken_port_of_the_recipe_is_unfit_for_the_same_protocol_only() {
    assert_unfit(Topic::Ports, "publishes port 64738/tcp, which service mumble_app holds", |r| {
        on_resources(r).ports = [Taken { port: port(64738), by: "service mumble_app".into() }].into();
    });
    assert_unfit(Topic::Ports, "a program of the machine holds", |r| on_machine(r).listening = [port(64738)].into());
    assert_ok(Topic::Ports, "free: 64738/tcp", |r| {
        on_machine(r).listening = [Port { number: 64738, udp: true }].into();
    });
}

#[test]
fn too_little_disk_or_memory_is_unfit() {
    assert_unfit(Topic::Disk, "900 MiB are free where the engine keeps", |r| on_machine(r).engine_free_bytes = Some(900 << 20));
    assert_unfit(Topic::Disk, "0 MiB are free where the results go", |r| on_machine(r).results_free_bytes = Some(0));
    assert_unfit(Topic::Memory, "500 MiB of memory are free, and 1024 MiB have to be", |r| {
        on_machine(r).memory = Some(500 << 20);
    });
}

#[test]
fn service_address_that_does_not_answer_is_a_notice() {
    assert_ok(Topic::Ipvs, "the address of service traefik answers", |r| on_machine(r).ipvs = false);
    assert_notice(Topic::Ipvs, "the kernel has no IPVS", |r| {
        on_machine(r).ipvs = false;
        on_machine(r).tried = None;
    });
    assert_notice(Topic::Ipvs, "does not answer", |r| on_machine(r).tried = Some(("traefik".into(), Ok(false))));
    assert_unknown(Topic::Ipvs, "could not be tried: root", |r| {
        on_machine(r).tried = Some(("traefik".into(), Err("root".into())));
    });
    assert_unknown(Topic::Ipvs, "no service address is there", |r| on_machine(r).tried = None);
}

#[test]
fn registry_that_does_not_answer_is_a_notice() {
    let image = || "nginx:1".parse().unwrap();
    assert_ok(Topic::Registry, "answers in 0.3 s", |r| {
        r.registry = Some(Lookup::Answered { image: image(), took: Duration::from_millis(340), answer: Ok(()) });
    });
    assert_notice(Topic::Registry, "no answer for nginx:1 after 10 s", |r| {
        let took = Duration::from_secs(10);
        let answer = Err(SwarmError::Silent { call: "registry look-up".into(), after: took });
        r.registry = Some(Lookup::Answered { image: image(), took, answer });
    });
}

#[test]
fn images_that_cannot_be_listed_are_unknown_and_missing_ones_unfit_offline() {
    let unread = "whether the images are there is not known: the engine did not answer images within 8s";
    assert_unknown(Topic::Registry, unread, |r| {
        r.registry = Some(Lookup::Unread(SwarmError::Silent { call: "images".into(), after: Duration::from_secs(8) }));
    });
    assert_unfit(Topic::Registry, "the engine does not have nginx:1, and the run is offline", |r| {
        r.registry = Some(Lookup::NotAsked { absent: "nginx:1".parse().unwrap() });
    });
}

#[test]
fn clock_that_differs_from_ours_is_a_notice() {
    assert_notice(Topic::Clock, "90 s ahead of ours", |r| on_engine(r).clock = Some(Wall::from_millis(90_000)));
    assert_notice(Topic::Clock, "60 min behind ours", |r| r.now = Some(Wall::from_millis(3_600_000)));
}

#[test]
fn foreign_object_with_the_apps_name_is_unfit() {
    assert_unfit(Topic::Names, "a foreign object has the app's name already: volume shop_taster_test_data", |r| {
        on_inventory(r).objects.extend([object(ObjectKind::Volume, "shop_taster_test_data", None)]);
    });
    assert_unfit(Topic::Names, "a foreign object has the app's name already: service odd", |r| {
        on_inventory(r).objects.extend([object(ObjectKind::Service, "odd", Some("shop_taster_test"))]);
    });
}

#[test]
fn properties_of_another_machine_than_tasters_are_unknown() {
    let mut readings = fit();
    on_engine(&mut readings).machine = "there".into();
    on_machine(&mut readings).listening = [port(64738)].into();
    on_machine(&mut readings).memory = Some(0);
    on_machine(&mut readings).engine_free_bytes = Some(0);

    for topic in [Topic::Disk, Topic::Memory, Topic::Ipvs] {
        assert_eq!(check_of(&readings, topic).finding, Finding::Unknown, "{topic}");
    }
    assert_eq!(check_of(&readings, Topic::Ports).finding, Finding::Ok, "a program that listens here takes no port there");
}

#[test]
fn other_machine_with_too_little_memory_as_a_whole_is_unfit() {
    let mut readings = fit();
    on_engine(&mut readings).machine = "there".into();
    on_engine(&mut readings).memory = Some(512 << 20);
    on_machine(&mut readings).memory = Some(0);

    assert_eq!(check_of(&readings, Topic::Memory).finding, Finding::Unfit);
}

#[test]
fn limit_of_the_host_file_makes_a_host_unfit() {
    let limits = Limits { free_disk_mib: 60 << 10, ..Limits::default() };

    let checks = preflight(&fit(), &needs(), &limits, None);

    assert_eq!(unfit(&checks).map(|check| check.topic), Some(Topic::Disk));
}

#[test]
fn preflight_without_an_app_has_no_check_of_its_name() {
    let checks = preflight(&fit(), &needs(), &Limits::default(), None);

    assert!(checks.iter().all(|check| check.topic != Topic::Names), "{checks:?}");
}
