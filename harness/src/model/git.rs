//! Branches and tags of a recipe's repository.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::names::Commit;

/// A branch of a recipe's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its last commit.
    pub commit: Commit,
}

/// A tag of a recipe's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// The commit that it points to.
    pub commit: Commit,
    /// Whether it is annotated, as Co-op Cloud demands.
    pub annotated: bool,
}

/// How tags, branches and other commits are related to head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The ancestors of head.
    pub ancestors: BTreeSet<Commit>,
    /// The commits that have head as an ancestor.
    pub descendants: BTreeSet<Commit>,
    /// For each of the other commits, the paths whose content or mode is another one in head.
    pub changed: BTreeMap<Commit, Vec<String>>,
    /// When each of the other commits was made, in seconds since 1970.
    pub committed: BTreeMap<Commit, i64>,
    /// Whether the history is cut off, so that ancestors may be missing.
    pub shallow: bool,
}

impl Lineage {
    /// The ancestors and descendants of `head` in a history: each commit with its parents.
    pub fn of(head: &Commit, parents: &BTreeMap<Commit, Vec<Commit>>) -> Self {
        let mut children: BTreeMap<Commit, Vec<Commit>> = BTreeMap::new();
        for (commit, above) in parents {
            above.iter().for_each(|parent| children.entry(parent.clone()).or_default().push(commit.clone()));
        }
        Self { ancestors: reached(head, parents), descendants: reached(head, &children), ..Self::default() }
    }
}

/// The commits that are reached from `from`, without itself.
fn reached(from: &Commit, next: &BTreeMap<Commit, Vec<Commit>>) -> BTreeSet<Commit> {
    let mut seen = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(commit) = ahead.pop() {
        ahead.extend(next.get(commit).into_iter().flatten().filter(|other| seen.insert((*other).clone())));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lineage_follows_merges_both_ways() {
        let commit = |number: u32| format!("{number:040}").parse::<Commit>().unwrap();
        // 1 is the root; 2 and 3 branch off; 4 merges them; 5 goes on from 3 alone.
        let history = [(1, vec![]), (2, vec![1]), (3, vec![1]), (4, vec![2, 3]), (5, vec![3])];
        let parents = history.map(|(child, above)| (commit(child), above.into_iter().map(commit).collect())).into();
        for (head, ancestors, descendants) in
            [(1, vec![], vec![2, 3, 4, 5]), (3, vec![1], vec![4, 5]), (4, vec![1, 2, 3], vec![]), (2, vec![1], vec![4])]
        {
            let set = |numbers: Vec<u32>| numbers.into_iter().map(commit).collect::<BTreeSet<_>>();
            let found = Lineage::of(&commit(head), &parents);
            assert_eq!((found.ancestors, found.descendants), (set(ancestors), set(descendants)), "{head}");
        }
    }
}
