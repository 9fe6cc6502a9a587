//! What a run left and changed: the difference between two inventories, judged by the run's claims.

use std::collections::BTreeSet;

use crate::pure::host::inventory::{CleanupResult, Inventory};
use crate::{
    model::{ignore::Ignore, object::ObjectId},
    pure::host::claim::Claim,
};

/// What a run left and changed, from the inventory before it, the inventory after it, its claims, and the objects that its own calls
/// named.
///
/// An object under a claim that was not there before is residue. One that *was* there before is somebody else's, whatever its
/// name: if it changed or vanished, the claim is to blame. All other changes are ours only if a call of ours named the object.
/// Changes that one of `ignores` covers are not counted; what is left of the run always is.
pub fn diff(
    before: &Inventory,
    after: &Inventory,
    claims: &[Claim],
    touched: &BTreeSet<ObjectId>,
    ignores: &[&Ignore],
) -> CleanupResult {
    let mut cleanup_result = CleanupResult::default();
    let told = |what: &str, change: &str, ours: bool, cleanup_result: &mut CleanupResult| match ignores
        .iter()
        .find(|ignore| ignore.covers(what))
    {
        Some(ignore) => cleanup_result.ignored.push(format!("{what} {change}: {}, until {}", ignore.reason, ignore.until)),
        None if ours => cleanup_result.changed_bystanders.push(format!("{what} {change}")),
        None => cleanup_result.others.push(format!("{what} {change}")),
    };
    for id in before.objects.keys().chain(after.objects.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.objects.get(id), after.objects.get(id));
        let covered = claims.iter().any(|claim| claim.covers(before, id) || claim.covers(after, id));
        let change = match (old, new) {
            (None, Some(_)) if covered => {
                cleanup_result.leaked.push(after.describe(id));
                continue;
            }
            (None, Some(_)) => "appeared",
            (Some(_), None) => "vanished",
            (Some(old), Some(new)) if old != new => "changed",
            _ => continue,
        };
        let what = if new.is_some() { after.describe(id) } else { before.describe(id) };
        told(&what, change, covered || touched.contains(id), &mut cleanup_result);
    }
    for path in before.files.keys().chain(after.files.keys()).collect::<BTreeSet<_>>() {
        let covered = claims.iter().any(|claim| claim.covers_path(path) || claim.names(path));
        let what = format!("file {}", path.display());
        let change = match (before.files.get(path), after.files.get(path)) {
            (None, Some(_)) if covered => {
                cleanup_result.leaked.push(what);
                continue;
            }
            (None, Some(_)) => "appeared",
            (Some(_), None) => "vanished",
            (old, new) if old != new => "changed",
            _ => continue,
        };
        told(&what, change, covered, &mut cleanup_result);
    }
    cleanup_result
}
