//! The tasks of a settled app, and whether they still run.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        head::Head,
        names::{ServiceName, TaskId},
    },
    pure::{
        host::converge::ServiceView,
        run::{event::TaskSeen, settled_app::running_tasks},
    },
};

/// The first service with a settled task that no longer runs, and that task's exit code.
pub(in crate::engine::steps) fn replaced_task<'a>(
    settled: &'a BTreeMap<ServiceName, BTreeSet<TaskId>>,
    services: &BTreeMap<ServiceName, ServiceView>,
) -> Option<(&'a ServiceName, Option<i32>)> {
    let now = running_tasks(services);
    settled.iter().find_map(|(name, tasks)| {
        let gone = tasks.iter().find(|task| !now.get(name).is_some_and(|running| running.contains(*task)))?;
        let ended = services.get(name).and_then(|service| service.tasks.iter().find(|task| task.id == *gone));
        Some((name, ended.and_then(|task| task.exit)))
    })
}

/// The tasks that an observation shows, grouped by service.
pub(in crate::engine::steps) fn observed_tasks(head: &Head, services: &BTreeMap<ServiceName, ServiceView>) -> Vec<TaskSeen> {
    let of = |(name, service): (&ServiceName, &ServiceView)| {
        let short = head.stack.short(name).to_owned();
        service.tasks.iter().map(|task| TaskSeen::of(&short, task)).collect::<Vec<_>>()
    };
    services.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(tasks: &[&str]) -> BTreeMap<ServiceName, BTreeSet<TaskId>> {
        let tasks = tasks.iter().map(|task| task.parse().unwrap()).collect();
        BTreeMap::from([("shop_app".parse().unwrap(), tasks)])
    }

    #[test]
    fn tasks_of_a_service_that_is_gone_are_replaced() {
        let gone = settled(&["one"]);
        assert_eq!(replaced_task(&gone, &BTreeMap::new()), Some((&"shop_app".parse().unwrap(), None)));
    }

    #[test]
    fn service_without_tasks_has_no_task_replaced() {
        assert_eq!(replaced_task(&settled(&[]), &BTreeMap::new()), None);
    }
}
