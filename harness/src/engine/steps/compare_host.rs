//! Compares the inventory with what it was before the run.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Context, unread};
use crate::{
    engine::facts::Earlier,
    model::{
        ignore::Ignore,
        outcome::{Gap, Outcome},
    },
    pure::{
        host::inventory::{self, Inventory},
        run::event::Kind,
    },
};

pub(super) async fn compare_host(context: &Context<'_>) -> Outcome {
    let Some(before) = &context.before else {
        return Outcome::Unverified(Gap::NotRun { because: "the inventory before the run is not known".into() });
    };
    match context.ports.swarm.inventory().await {
        Ok(after) => {
            let (before, after, unread) = with_files(before.clone(), after, context.ports.machine.env_files());
            let now = context.ports.clock.wall();
            let (over, holding): (Vec<&Ignore>, Vec<&Ignore>) = context.host.ignore.iter().partition(|ignore| ignore.over(now));
            let ended = over.into_iter().map(|ignore| {
                format!("{} was to be ignored until {} and is counted again: {}", ignore.what, ignore.until, ignore.reason)
            });
            for text in ended.chain(unread) {
                context.log.record(Kind::Warned { text });
            }
            let cleanup_result =
                inventory::diff::diff(&before, &after, &context.log.claims(), &context.touched.borrow(), &holding);
            context.log.record(Kind::InventoryCompared { cleanup_result });
            Outcome::Passed
        }
        Err(error) => unread(&error),
    }
}

/// Both inventories with the operator's files in them, or without and with a warning, when they were not read both times: what was not read
/// has not vanished.
fn with_files(
    before: Earlier,
    after: Inventory,
    now: Result<BTreeMap<PathBuf, String>, String>,
) -> (Inventory, Inventory, Option<String>) {
    match (before.env_files, now) {
        (Ok(then), Ok(now)) => (Inventory { files: then, ..before.inventory }, Inventory { files: now, ..after }, None),
        (Err(why), _) | (_, Err(why)) => {
            let told = format!("whether somebody changed the .env files of the operator's own apps is not known: {why}");
            (before.inventory, after, Some(told))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_were_not_read_both_times_are_not_compared() {
        let inventory = Inventory {
            engine: "swarm1".parse().unwrap(),
            objects: BTreeMap::new(),
            files: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        };
        let read = || Ok(BTreeMap::from([(PathBuf::from("shop.env"), "digest".to_owned())]));
        let broken = || Err("cannot read it".to_owned());
        for (then, now, files) in [(read(), read(), 1), (read(), broken(), 0), (broken(), read(), 0), (broken(), broken(), 0)] {
            let before = Earlier { inventory: inventory.clone(), env_files: then };
            let (before, after, told) = with_files(before, inventory.clone(), now);
            assert_eq!((before.files.len(), after.files.len()), (files, files));
            assert_eq!(told.is_some_and(|told| told.ends_with("is not known: cannot read it")), files == 0);
        }
    }
}
