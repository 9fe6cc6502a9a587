//! Looks once more whether everything that settled still stands.
//!
//! A service without a health check counts as settled when it was merely started; a restart since then is a finding.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, check, unread};
use crate::{
    model::{
        names::{ServiceName, TaskId},
        outcome::{Cause, Failure, Gap, Outcome},
    },
    pure::{
        host::converge::{ServiceView, TaskState, TaskView},
        run::plan::StepId,
    },
};

pub(super) async fn stable(context: &Context<'_>, id: &StepId) -> Outcome {
    let head = match context.head() {
        Ok(head) => head,
        Err(failure) => return Outcome::Failed(failure),
    };
    let state = context.log.state();
    let mut settled = state.settled;
    // What head does not have any more was removed after it had settled.
    settled.retain(|name, _| !state.dropped.iter().any(|dropped| dropped == head.stack.short(name)));
    if settled.is_empty() {
        return Outcome::Unverified(Gap::NotRun { because: "it is not known on which tasks the app settled".into() });
    }
    let services = match context.ports.swarm.observe(&head.stack).await {
        Ok(services) => services,
        Err(error) => return unread(&error),
    };
    let outcome = match restarted(&settled, &services) {
        None => Outcome::Passed,
        Some((service, exit)) => Outcome::Failed(Failure::new(
            Cause::Assertion,
            match exit {
                Some(exit) => {
                    format!("{}: settled, then ended with exit {exit} and was started again", head.stack.short(service))
                }
                None => format!("{}: settled, then its task was replaced", head.stack.short(service)),
            },
        )),
    };
    check(context, id, "all services still stand as they settled", &outcome);
    outcome
}

/// The tasks of each service that run and that Swarm means to keep: one that it has replaced runs on for some seconds.
pub(super) fn running(services: &BTreeMap<ServiceName, ServiceView>) -> BTreeMap<ServiceName, BTreeSet<TaskId>> {
    let tasks_of = |service: &ServiceView| service.tasks.iter().filter(|task| kept(task)).map(|task| task.id.clone()).collect();
    services.iter().map(|(name, service)| (name.clone(), tasks_of(service))).collect()
}

fn kept(task: &TaskView) -> bool {
    task.state == TaskState::Running && task.desired == TaskState::Running
}

/// The first service of which a settled task does not run any more, with that task's exit code.
pub(super) fn restarted<'a>(
    settled: &'a BTreeMap<ServiceName, BTreeSet<TaskId>>,
    services: &BTreeMap<ServiceName, ServiceView>,
) -> Option<(&'a ServiceName, Option<i32>)> {
    let now = running(services);
    settled.iter().find_map(|(name, tasks)| {
        let gone = tasks.iter().find(|task| !now.get(name).is_some_and(|running| running.contains(*task)))?;
        let ended = services.get(name).and_then(|service| service.tasks.iter().find(|task| task.id == *gone));
        Some((name, ended.and_then(|task| task.exit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(tasks: &[&str]) -> BTreeMap<ServiceName, BTreeSet<TaskId>> {
        let tasks = tasks.iter().map(|task| task.parse().unwrap()).collect();
        BTreeMap::from([("shop_app".parse().unwrap(), tasks)])
    }

    #[test]
    fn a_task_that_swarm_has_replaced_is_not_one_on_which_the_app_settled() {
        for (state, desired, wanted) in [
            (TaskState::Running, TaskState::Running, true),
            (TaskState::Running, TaskState::Shutdown, false),
            (TaskState::Starting, TaskState::Running, false),
            (TaskState::Shutdown, TaskState::Shutdown, false),
        ] {
            let (id, error) = ("one".parse().unwrap(), String::new());
            let task =
                TaskView { id, slot: Some(1), node: None, current: true, desired, state, exit: None, error, container: None };
            assert_eq!(kept(&task), wanted, "{state:?} {desired:?}");
        }
    }

    #[test]
    fn a_service_that_is_gone_does_not_stand_any_more() {
        let gone = settled(&["one"]);
        assert_eq!(restarted(&gone, &BTreeMap::new()), Some((&"shop_app".parse().unwrap(), None)));
    }

    #[test]
    fn a_service_that_wanted_no_task_has_none_to_lose() {
        assert_eq!(restarted(&settled(&[]), &BTreeMap::new()), None);
    }
}
