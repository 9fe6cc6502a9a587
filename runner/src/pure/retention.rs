//! Which runs' folders are removed, by count, size and age. Pure.
//!
//! What a later run or a cleanup needs is never removed: a run that goes on, one whose claims are not released or cannot be read,
//! and the last green runs of each recipe, which the next run compares itself with.

use std::collections::BTreeSet;

use harness::model::names::RunId;

/// A run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The run.
    pub run: RunId,
    /// The recipe, where journal or results name it.
    pub recipe: Option<String>,
    /// The tiers of a green verdict; absent when the run is not green.
    pub green: Option<Vec<String>>,
    /// The size of its files, in bytes.
    pub bytes: u64,
    /// Why it must stay; absent when nothing forbids to remove it.
    pub held: Option<String>,
}

/// The limits; an absent one limits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Retention {
    /// How many runs are kept.
    pub keep: Option<usize>,
    /// The most bytes of all runs together.
    pub max_bytes: Option<u64>,
}

/// What happens to a run's folder, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It stays.
    Kept(String),
    /// It is removed.
    Removed(String),
}

/// The decision of each of `runs`, which are in the order newest first. `oldest` is the time stamp that the id of a run must not
/// come before, as `20261121-101502`.
///
/// Runs that must stay count: the limits are met as far as the others allow.
pub(crate) fn retention(runs: &[Stored], limits: Retention, oldest: Option<&str>) -> Vec<Decision> {
    let protected = last_green(runs);
    let reserved = |stored: &Stored| stored.held.is_some() || protected.contains(&stored.run);
    let mut count_left = limits.keep.map(|keep| keep.saturating_sub(runs.iter().filter(|stored| reserved(stored)).count()));
    let reserved_bytes: u64 = runs.iter().filter(|stored| reserved(stored)).map(|stored| stored.bytes).sum();
    let mut bytes_left = limits.max_bytes.map(|most| most.saturating_sub(reserved_bytes));
    let mut decision = |stored: &Stored| {
        if let Some(held) = &stored.held {
            return Decision::Kept(held.clone());
        }
        if protected.contains(&stored.run) {
            return Decision::Kept("it is the last green run of its recipe".to_owned());
        }
        if oldest.is_some_and(|oldest| stored.run.as_str() < oldest) {
            return Decision::Removed("it is too old".to_owned());
        }
        if count_left == Some(0) {
            return Decision::Removed("newer runs are as many as are kept".to_owned());
        }
        if bytes_left.is_some_and(|left| stored.bytes > left) {
            // An older and smaller run does not outlive this one.
            bytes_left = Some(0);
            return Decision::Removed("newer runs have the size that is kept".to_owned());
        }
        count_left = count_left.map(|left| left - 1);
        bytes_left = bytes_left.map(|left| left - stored.bytes);
        Decision::Kept("it is within the limits".to_owned())
    };
    runs.iter().map(&mut decision).collect()
}

/// The newest green run of each recipe, and the newest that installed the app and that ran custom tests, because the next run
/// looks for these.
fn last_green(runs: &[Stored]) -> BTreeSet<RunId> {
    let mut seen = BTreeSet::new();
    let mut last = BTreeSet::new();
    for stored in runs {
        let (Some(recipe), Some(tiers)) = (&stored.recipe, &stored.green) else { continue };
        for kind in ["", "install", "custom"] {
            if (kind.is_empty() || tiers.iter().any(|tier| tier == kind)) && seen.insert((recipe.clone(), kind)) {
                last.insert(stored.run.clone());
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(day: u32, recipe: &str, green: Option<&[&str]>, bytes: u64) -> Stored {
        Stored {
            run: format!("202611{day:02}-101502-aebagbaf").parse().unwrap(),
            recipe: Some(recipe.to_owned()),
            green: green.map(|tiers| tiers.iter().map(|tier| (*tier).to_owned()).collect()),
            bytes,
            held: None,
        }
    }

    /// The days of the runs that stay.
    fn kept(runs: &[Stored], limits: Retention, oldest: Option<&str>) -> Vec<String> {
        let decisions = retention(runs, limits, oldest);
        let kept = runs.iter().zip(decisions).filter(|(_, decision)| matches!(decision, Decision::Kept(_)));
        kept.map(|(stored, _)| stored.run.as_str()[6..8].to_owned()).collect()
    }

    #[test]
    fn each_limit_removes_the_oldest_runs_first() {
        let runs: Vec<Stored> = [20, 19, 18, 17].map(|day| stored(day, "hello", None, 10)).into();
        let none = Retention::default();
        for (what, limits, oldest, days) in [
            ("nothing", none, None, &["20", "19", "18", "17"][..]),
            ("count", Retention { keep: Some(2), ..none }, None, &["20", "19"]),
            ("count of none", Retention { keep: Some(0), ..none }, None, &[]),
            ("size", Retention { max_bytes: Some(25), ..none }, None, &["20", "19"]),
            ("size to the byte", Retention { max_bytes: Some(30), ..none }, None, &["20", "19", "18"]),
            ("age", none, Some("20261119-000000"), &["20", "19"]),
            ("the strictest", Retention { keep: Some(3), max_bytes: Some(15) }, Some("20261118-000000"), &["20"]),
        ] {
            assert_eq!(kept(&runs, limits, oldest), days, "{what}");
        }
    }

    #[test]
    fn older_run_that_is_smaller_does_not_outlive_a_newer_one() {
        let runs = [stored(20, "hello", None, 10), stored(19, "hello", None, 50), stored(18, "hello", None, 1)];
        assert_eq!(kept(&runs, Retention { max_bytes: Some(20), ..Retention::default() }, None), ["20"]);
    }

    #[test]
    fn last_green_runs_and_held_ones_stay_and_count() {
        let mut runs = vec![
            stored(20, "hello", None, 10),
            stored(19, "hello", Some(&["custom"]), 10),
            stored(18, "hello", Some(&["install"]), 10),
            stored(17, "hello", Some(&["install", "custom"]), 10),
            stored(16, "ghost", Some(&["install"]), 10),
            stored(15, "ghost", None, 10),
            stored(14, "ghost", None, 10),
        ];
        runs[5].held = Some("it goes on".to_owned());
        let none = Retention { keep: Some(0), max_bytes: Some(0) };
        assert_eq!(kept(&runs, none, Some("20270101-000000")), ["19", "18", "16", "15"]);
        assert_eq!(kept(&runs, Retention { keep: Some(5), ..Retention::default() }, None), ["20", "19", "18", "16", "15"]);
        runs[5].recipe = None;
        assert!(
            matches!(&retention(&runs, none, None)[5], Decision::Kept(why) if why == "it goes on"),
            "its recipe is not known"
        );
    }
}
