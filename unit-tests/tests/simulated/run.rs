//! Whole runs on simulated hosts whose calls succeed, fail or hang: the run ends with the correct verdict and leaks nothing.

use std::{collections::BTreeMap, time::Duration};

use harness::{
    model::{
        pack::{Pack, Settings},
        time::Wall,
    },
    pure::{
        host::preflight::{Needs, Neighbour},
        run::verdict::VerdictOutcome::{Green, Inconclusive, Red},
    },
};
use unit_tests::{
    sim_host::{CallBehaviour::*, HostBehaviour, SimHost},
    sim_neighbours::SimNeighbours,
};

use crate::sim_run::{FinishedRun, run_on};

const WORKING: HostBehaviour = HostBehaviour::WORKING;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn run_behaving(behaviour: HostBehaviour) -> FinishedRun {
    run_on(SimHost::behaving(behaviour)).case(behaviour).finish()
}

/// A run on a healthy host after this change of it.
fn run_on_changed_host(change: impl FnOnce(&mut SimHost)) -> FinishedRun {
    let mut host = SimHost::healthy();
    change(&mut host);
    run_on(host).finish()
}

#[test]
fn run_without_failures_is_green() {
    run_behaving(WORKING).expect(Green).nothing_leaked();
}

#[test]
fn deploy_that_abra_refuses_is_red() {
    run_behaving(HostBehaviour { deploy: Fails, ..WORKING })
        .expect(Red)
        .reason("abra app deploy ended with exit code 1")
        .nothing_leaked();
}

#[test]
fn deploy_that_hangs_is_inconclusive() {
    run_behaving(HostBehaviour { deploy: Hangs, ..WORKING })
        .expect(Inconclusive)
        .reason("abra did not end within")
        .nothing_leaked();
}

#[test]
fn deploy_to_another_swarm_is_reported_and_undeployed_there() {
    let host = SimHost::behaving(HostBehaviour { deploys_elsewhere: true, ..WORKING });

    let run = run_on(host.clone()).finish();

    let why = "abra deployed hello-aebagbaf_taster_test to its server `default`, and the engine at /var/run/docker.sock shows \
               nothing of it; make `server` and `engine`";
    run.expect(Inconclusive).reason(why).nothing_leaked();
    assert!(host.deployed_elsewhere().is_empty(), "{:?}", host.deployed_elsewhere());
}

#[test]
fn deploy_to_another_swarm_is_undeployed_after_a_signal_too() {
    let host = SimHost::behaving(HostBehaviour { deploys_elsewhere: true, ..WORKING });

    // The signal comes before the run can know where the stack is.
    let run = run_on(host.clone()).signal(Duration::from_secs(1), SIGTERM).finish();

    run.expect_with_exit(Inconclusive, 143).reason("ended by signal 15").nothing_leaked();
    assert!(host.deployed_elsewhere().is_empty(), "{:?}", host.deployed_elsewhere());
}

#[test]
fn app_that_does_not_answer_is_red() {
    for (web, why) in [(Fails, "502 Bad Gateway"), (Hangs, "the app does not answer")] {
        run_behaving(HostBehaviour { web, ..WORKING }).expect(Red).reason(why).nothing_leaked();
    }
}

#[test]
fn panic_of_a_step_is_tasters_defect_and_leaks_nothing() {
    for (behaviour, why) in [
        (HostBehaviour { web: Panics, ..WORKING }, "step http panicked"),
        (HostBehaviour { deploy: Panics, ..WORKING }, "step deploy panicked"),
    ] {
        run_behaving(behaviour).expect_with_exit(Inconclusive, 6).reason(why).nothing_leaked();
    }
}

#[test]
fn signal_during_a_hanging_deploy_ends_the_run_and_leaks_nothing() {
    let host = SimHost::behaving(HostBehaviour { deploy: Hangs, ..WORKING });

    let run = run_on(host).signal(Duration::from_secs(1), SIGTERM).finish();

    run.expect_with_exit(Inconclusive, 143).reason("ended by signal 15").nothing_leaked();
}

#[test]
fn signal_at_the_start_ends_the_run() {
    let run = run_on(SimHost::healthy()).signal(Duration::ZERO, SIGINT).finish();

    run.expect_with_exit(Inconclusive, 130).reason("ended by signal 2").nothing_leaked();
}

#[test]
fn object_that_cannot_be_removed_changes_the_exit_code_of_a_green_run() {
    let run = run_behaving(HostBehaviour { removal: Fails, ..WORKING }).expect_with_exit(Green, 4);

    let (files, objects): (Vec<&String>, Vec<&String>) = run.leaked.iter().partition(|leaked| leaked.starts_with('/'));
    assert_eq!(objects.len(), 2, "the secret, and the marker with its owner: {objects:?}");
    assert_eq!(files.len(), 3, "abra's files of the app stay with it: {files:?}");
}

type ChangeHost = fn(&mut SimHost);

#[test]
fn unfit_host_is_inconclusive() {
    let cases: [(ChangeHost, &str); 6] = [
        (|host| host.engine.api = "1.40".into(), "too old"),
        (|host| host.engine.rootless = true, "rootless"),
        (|host| host.engine.worker = true, "a worker of its Swarm"),
        (|host| host.machine.memory = Some(0), "0 MiB of memory are free"),
        (|host| host.machine.free_bytes = Some(0), "where the results go"),
        (|host| host.machine.servers = BTreeMap::from([("default".into(), "swarm2".parse().unwrap())]), "another Swarm (swarm2)"),
    ];

    for (make_unfit, why) in cases {
        run_on_changed_host(make_unfit).expect(Inconclusive).reason(why).nothing_leaked();
    }
}

#[test]
fn wrong_clock_of_the_host_is_green() {
    run_on_changed_host(|host| host.engine.clock = Some(Wall::from_millis(1))).expect(Green).nothing_leaked();
}

fn run_with_probes(probes: &str) -> FinishedRun {
    let pack = Pack { settings: Settings::parse(probes).unwrap(), ..Pack::default() };
    run_on(SimHost::healthy().with_pack(pack, &[])).finish()
}

#[test]
fn probes_of_a_pack_that_hold_are_green() {
    run_with_probes("probes = [{ path = \"/up\" }, { tcp = 2222, stable = 3 }]").expect(Green).nothing_leaked();
}

#[test]
fn probe_of_a_pack_that_does_not_hold_is_red() {
    run_with_probes("probes = [{ path = \"/up\", status = [204] }]")
        .expect(Red)
        .reason("/up answers with 204; the last attempt: it answers with 200")
        .nothing_leaked();
}

/// Another run that needs all memory of the host.
fn memory_hungry_neighbour() -> Neighbour {
    Neighbour {
        run: "20261121-101500-aebagbag".parse().unwrap(),
        recipe: "gitea".parse().unwrap(),
        needs: Needs { memory: 8 << 30, ..Needs::default() },
        up: false,
    }
}

#[test]
fn run_waits_for_the_memory_of_another_and_remarks_it() {
    let mut host = SimHost::healthy();
    host.neighbours = SimNeighbours::living(vec![memory_hungry_neighbour()], 3);

    let run = run_on(host).expect(Green).nothing_leaked();

    let remark = run.results.remarks.iter().find(|remark| remark.starts_with("waited ")).cloned().unwrap_or_default();
    let why =
        "memory: 256 MiB are wanted, and of the 8192 MiB that are free 8192 MiB are for run 20261121-101500-aebagbag of gitea";
    assert!(remark.ends_with(why), "{:?}", run.results.remarks);
}

#[test]
fn signal_ends_a_waiting_run_that_has_made_nothing() {
    let mut host = SimHost::healthy();
    host.neighbours = SimNeighbours::living(vec![memory_hungry_neighbour()], u32::MAX);

    let run = run_on(host).signal(Duration::from_secs(30), SIGINT).finish();

    run.expect_with_exit(Inconclusive, 130).nothing_leaked();
}
