//! The difference between the inventories before and after a run, sorted by the run's claims.

use std::collections::BTreeSet;

use crate::{
    model::{ignore::Ignore, object::ObjectId},
    pure::host::{
        claim::Claim,
        inventory::{CleanupResult, Inventory},
    },
};

/// What a run leaked and changed, from the inventory before it, the inventory after it, its claims, and `touched`, the objects
/// that its own calls named.
///
/// An object under a claim that was not there before is leaked. One that *was* there before belongs to others, whatever its name:
/// if it changed or vanished, the run caused it. The run caused any other change only if one of its calls named the object.
/// Changes that one of `ignores` covers are not counted; leaked objects always are.
pub fn diff(
    before: &Inventory,
    after: &Inventory,
    claims: &[Claim],
    touched: &BTreeSet<ObjectId>,
    ignores: &[&Ignore],
) -> CleanupResult {
    let mut result = CleanupResult::default();
    let record = |what: &str, change: &str, caused_by_run: bool, result: &mut CleanupResult| match ignores
        .iter()
        .find(|ignore| ignore.covers(what))
    {
        Some(ignore) => result.ignored.push(format!("{what} {change}: {}, until {}", ignore.reason, ignore.until)),
        None if caused_by_run => result.changed_bystanders.push(format!("{what} {change}")),
        None => result.others.push(format!("{what} {change}")),
    };
    for id in before.objects.keys().chain(after.objects.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.objects.get(id), after.objects.get(id));
        let covered = claims.iter().any(|claim| claim.covers(before, id) || claim.covers(after, id));
        let change = match (old, new) {
            (None, Some(_)) if covered => {
                result.leaked.push(after.describe(id));
                continue;
            }
            (None, Some(_)) => "appeared",
            (Some(_), None) => "vanished",
            (Some(old), Some(new)) if old != new => "changed",
            _ => continue,
        };
        let what = if new.is_some() { after.describe(id) } else { before.describe(id) };
        record(&what, change, covered || touched.contains(id), &mut result);
    }
    for path in before.files.keys().chain(after.files.keys()).collect::<BTreeSet<_>>() {
        let covered = claims.iter().any(|claim| claim.covers_path(path) || claim.names(path));
        let what = format!("file {}", path.display());
        let change = match (before.files.get(path), after.files.get(path)) {
            (None, Some(_)) if covered => {
                result.leaked.push(what);
                continue;
            }
            (None, Some(_)) => "appeared",
            (Some(_), None) => "vanished",
            (old, new) if old != new => "changed",
            _ => continue,
        };
        record(&what, change, covered, &mut result);
    }
    result
}
