//! The proof that the running services are head's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::names::{Commit, ServiceName, StackName},
    pure::{
        host::converge::ServiceView,
        recipe::{
            compose::{Resolved, Service},
            power,
        },
    },
};

/// The minimum length of an abbreviated commit that counts as a proof. abra writes eight characters.
const SHORTEST: usize = 7;

/// The differences between head and the running services, one sentence each. The service `app` must carry abra's chaos label with
/// head's commit, because abra writes that label into the running spec.
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

/// The running services that head's files lack: `docker stack deploy` leaves them running.
pub fn dropped(head: &Resolved, live: &BTreeMap<ServiceName, ServiceView>) -> Vec<ServiceName> {
    let kept: BTreeSet<&ServiceName> = head.services.values().map(|service| &service.name).collect();
    live.keys().filter(|name| !kept.contains(name)).cloned().collect()
}

/// Whether head's resolved files differ from base's. Labels that only name versions do not count.
pub fn differs(base: &Resolved, head: &Resolved) -> bool {
    fn plain(resolved: &Resolved) -> Resolved {
        let mut plain = resolved.clone();
        plain.services.values_mut().for_each(|service: &mut Service| {
            service.labels.retain(|key, _| !(key.starts_with("coop-cloud.") && key.ends_with(".version")));
        });
        plain.version.clear();
        plain.skipped.retain(|key| power::is_compared(&key.path));
        plain
    }
    plain(base) != plain(head)
}
