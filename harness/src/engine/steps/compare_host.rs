//! Compares the host with what it was before the run.

use std::sync::Arc;

use super::shared::{context::StepContext, failure::unread};
use crate::{
    engine::facts::{EnvFiles, HostBefore},
    model::{
        ignore::Ignore,
        outcome::{Gap, Outcome},
        text::with_causes,
    },
    pure::{
        host::{inventory::Inventory, inventory_diff},
        run::event::Kind,
    },
};

pub(super) async fn compare_host(context: &StepContext<'_>) -> Outcome {
    let Some(before) = &context.host_before else {
        return Outcome::Unverified(Gap::NotRun { because: "the inventory before the run is not known".into() });
    };
    match context.ports.swarm.inventory().await {
        Ok(after) => {
            let now = context.ports.machine.env_files().map_err(Arc::new);
            let (before, after, unread) = with_env_files(before.clone(), after, now);
            let now = context.ports.clock.wall();
            let (over, holding): (Vec<&Ignore>, Vec<&Ignore>) = context.host.ignore.iter().partition(|ignore| ignore.over(now));
            let ended = over.into_iter().map(|ignore| {
                format!("{} was ignored until {} and is counted again: {}", ignore.what, ignore.until, ignore.reason)
            });
            for text in ended.chain(unread) {
                context.log.record(Kind::Warned { text });
            }
            let cleanup_result =
                inventory_diff::diff(&before, &after, &context.log.claims(), &context.removed_objects.borrow(), &holding);
            context.log.record(Kind::InventoryCompared { cleanup_result });
            Outcome::Passed
        }
        Err(error) => unread(&error),
    }
}

/// Both inventories with the operator's `.env` files in them. When these were not read both times, both inventories go without
/// them and a warning says so: a file that was not read has not vanished.
fn with_env_files(before: HostBefore, after: Inventory, now: EnvFiles) -> (Inventory, Inventory, Option<String>) {
    match (before.env_files, now) {
        (Ok(then), Ok(now)) => (Inventory { files: then, ..before.inventory }, Inventory { files: now, ..after }, None),
        (Err(why), _) | (_, Err(why)) => {
            let why = with_causes(&*why);
            let warning = format!("whether the .env files of the operator's own apps changed is not known: {why}");
            (before.inventory, after, Some(warning))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

    use super::*;
    use crate::ports::MachineError;

    #[test]
    fn env_files_that_were_not_read_both_times_are_not_compared() {
        let inventory = Inventory {
            engine: "swarm1".parse().unwrap(),
            objects: BTreeMap::new(),
            files: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        };
        let read = || Ok(BTreeMap::from([(PathBuf::from("shop.env"), "digest".to_owned())]));
        let broken = || Err(Arc::new(MachineError::NoContext { context: "far".into() }));
        for (then, now, files) in [(read(), read(), 1), (read(), broken(), 0), (broken(), read(), 0), (broken(), broken(), 0)] {
            let before = HostBefore { inventory: inventory.clone(), env_files: then };
            let (before, after, warning) = with_env_files(before, inventory.clone(), now);
            assert_eq!((before.files.len(), after.files.len()), (files, files));
            assert_eq!(warning.is_some_and(|text| text.ends_with("the docker client has no context far")), files == 0);
        }
    }
}
