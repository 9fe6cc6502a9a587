//! What happens to the app after it has settled, in whole simulated runs: a restart that no step explains is the recipe's, a
//! change by others proves nothing, and a restore explains one restart.

use std::collections::BTreeSet;

use harness::{
    model::outcome::{Cause, Outcome, Owner, Status, Tier},
    pure::{
        host::converge::{TaskState, TaskView},
        run::{
            settled_app::running_tasks,
            verdict::VerdictOutcome::{Green, Inconclusive, Red},
        },
    },
};
use unit_tests::{
    event_log::pack,
    recording::Recording,
    sim_app::RELEASES,
    sim_disturbance::{
        At,
        Disturbance::{self, Exits, IsKilled, IsMoved, IsRemoved, IsUnhealthy, IsUpdated},
        Disturbances,
    },
    sim_host::SimHost,
    sim_program::FunctionBehaviour as Test,
};

use super::{
    sim_run::{FinishedRun, run_on},
    upgrade_and_data::tree,
};

const ONE: &str = "posts::one";
const TWO: &str = "posts::two";
const TIERS: &[Tier] = &[Tier::Install, Tier::Backup, Tier::Restore, Tier::Custom];

/// A run through all tiers but the upgrade on a host on which this happens.
fn run_with(planned: &[(At, Disturbance)], behaviours: &[(&'static str, Test)]) -> FinishedRun {
    let mut host = SimHost::healthy().with_pack(pack(), behaviours);
    host.tree = tree(RELEASES[1], &["backupbot.backup=true"]);
    host.disturbances = Disturbances::of(planned);
    run_on(host).with_backup_service().tiers(TIERS).case(planned).finish()
}

#[test]
fn undisturbed_app_is_still_stable() {
    run_with(&[], &[]).expect(Green).step("still-stable", Status::Pass).one_check().nothing_leaked();
}

#[test]
fn task_that_exits_during_a_test_is_the_recipes_fault_with_its_time_and_its_exit_code() {
    let run = run_with(&[(At::Test(ONE), Exits(3))], &[]).expect(Red).owner(Owner::Recipe);

    let run = run.tier(Tier::Custom, Status::Fail).tier(Tier::Restore, Status::Pass).step(ONE, Status::Pass);
    let run = run.step("still-stable", Status::Fail).summary("app: exited with 3 after it had settled");
    let run = run.summary("s into the run (during posts::one); no step of the run explains it");
    let outcome = run.entry("still-stable").outcome.clone();
    assert!(
        matches!(&outcome, Some(Outcome::Failed(failure)) if matches!(failure.cause, Cause::Restarted { exit: Some(3), .. }))
    );
    run.nothing_leaked();
}

#[test]
fn task_that_exits_during_a_backup_is_the_recipes_fault() {
    run_with(&[(At::Backup, Exits(0))], &[]).expect(Red).owner(Owner::Recipe).reason("app: exited with 0 after it had settled");
}

#[test]
fn restore_explains_one_end_of_a_task() {
    for disturbance in [Exits(1), IsUnhealthy] {
        let run = run_with(&[(At::Restore, disturbance)], &[]).expect(Green);

        run.remark("a task ended after the app had settled and was started again; step restore explains that").nothing_leaked();
    }
}

#[test]
fn restore_does_not_explain_the_end_of_a_task_that_came_after_it() {
    let planned = [(At::Restore, Exits(1)), (At::Test(TWO), Exits(1))];

    run_with(&planned, &[]).expect(Red).owner(Owner::Recipe).reason("app: exited with 1 after it had settled");
}

#[test]
fn ends_of_one_service_are_counted() {
    let planned = [(At::Test(ONE), Exits(3)), (At::Test(TWO), Exits(3))];

    run_with(&planned, &[]).expect(Red).reason("app: exited with 3 after it had settled, 2 times, at first");
}

#[test]
fn task_that_swarm_stops_is_the_infrastructures_fault() {
    run_with(&[(At::Test(ONE), IsMoved)], &[]).expect(Inconclusive).owner(Owner::Infrastructure).reason("its task was stopped");
}

#[test]
fn change_by_another_client_proves_nothing_and_explains_the_failures_after_it() {
    for (disturbance, why) in [
        (IsUpdated, "service app was changed after it had settled, and not by the run"),
        (IsRemoved, "service app was removed, and not by the run"),
        (IsKilled, "a container of service app was killed, and not by the run"),
    ] {
        run_with(&[(At::Test(ONE), disturbance)], &[]).expect(Inconclusive).no_owner().reason(why);
        let failing = run_with(&[(At::Test(ONE), disturbance)], &[(ONE, Test::Fails), (TWO, Test::Fails)]);
        failing.expect(Inconclusive).no_owner().reason(why).step(ONE, Status::Unver).summary(why).step(TWO, Status::Unver);
    }
}

#[test]
fn failure_before_a_change_by_another_client_stands() {
    run_with(&[(At::Test(TWO), IsUpdated)], &[(ONE, Test::Fails)]).expect(Red).owner(Owner::Recipe).reason("the post is gone");
    let planned = [(At::Test(ONE), Exits(3)), (At::Test(TWO), IsUpdated)];
    run_with(&planned, &[]).expect(Red).owner(Owner::Recipe).reason("exited with 3 after it had settled");
}

#[test]
fn task_counts_as_running_only_when_swarm_means_to_keep_it() {
    let observation = Recording::load("healthy").observations.last().unwrap().clone();
    let (name, service) = observation.services.iter().next().unwrap();
    for (state, desired, wanted) in [
        (TaskState::Running, TaskState::Running, true),
        (TaskState::Running, TaskState::Shutdown, false),
        (TaskState::Starting, TaskState::Running, false),
        (TaskState::Shutdown, TaskState::Shutdown, false),
    ] {
        let mut service = service.clone();
        let task = TaskView { state, desired, ..service.tasks[0].clone() };
        let expected: BTreeSet<_> = wanted.then(|| task.id.clone()).into_iter().collect();
        service.tasks = vec![task];
        assert_eq!(running_tasks(&[(name.clone(), service)].into())[name], expected, "{state:?} {desired:?}");
    }
}
