//! Whether what runs is head.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::names::{Commit, ServiceName, StackName},
    pure::{
        host::converge::ServiceView,
        recipe::compose::{Resolved, Service},
    },
};

/// The shortest commit that a label may abbreviate to and still be a proof. abra writes eight characters.
const SHORTEST: usize = 7;

/// What speaks against head being what runs, a sentence each. The service `app` has to bear the label of a chaos deploy with head's
/// commit, whatever the files say: that is abra's own word, written with the spec that runs.
pub fn flaws(commit: &Commit, stack: &StackName, live: &BTreeMap<ServiceName, ServiceView>) -> Vec<String> {
    let key = format!("coop-cloud.{stack}.chaos-version");
    let labelled: Vec<(&str, &String)> =
        live.iter().filter_map(|(name, view)| Some((stack.short(name), view.labels.get(&key)?))).collect();
    if labelled.is_empty() {
        return vec![format!("no service bears the label {key}")];
    }
    let is_head = |label: &str| {
        let short = label.trim_end_matches("+U");
        short.len() >= SHORTEST && commit.as_str().starts_with(short)
    };
    let others = labelled.into_iter().filter(|(_, label)| !is_head(label));
    others.map(|(name, label)| format!("service {name} was deployed from commit {label} and not from head, {commit}")).collect()
}

/// The services that run and that head's files do not have: `docker stack deploy` leaves them running.
pub fn dropped(head: &Resolved, live: &BTreeMap<ServiceName, ServiceView>) -> Vec<ServiceName> {
    let kept: BTreeSet<&ServiceName> = head.services.values().map(|service| &service.name).collect();
    live.keys().filter(|name| !kept.contains(name)).cloned().collect()
}

/// Whether head's files ask for anything else than base's. The labels that only name versions do not count.
pub fn differs(base: &Resolved, head: &Resolved) -> bool {
    fn plain(resolved: &Resolved) -> Resolved {
        let mut plain = resolved.clone();
        plain.services.values_mut().for_each(|service: &mut Service| {
            service.labels.retain(|key, _| !(key.starts_with("coop-cloud.") && key.ends_with(".version")));
        });
        plain.skipped.clear();
        plain
    }
    plain(base) != plain(head)
}
