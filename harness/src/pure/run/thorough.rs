//! `--thorough`: the documented combinations of compose files, and the outcome of the added steps.

use std::collections::BTreeSet;

use crate::{
    model::outcome::Outcome,
    pure::{
        recipe::compose::{Env, Tree},
        run::{
            facts::recipe::{OVERLAY, sample},
            outcomes::worst_gap,
            plan::{Class, Plan},
            state::RunState,
        },
    },
};

/// The variable that lists the compose files.
const LIST: &str = "COMPOSE_FILE";
/// The file that every recipe has.
const FIRST: &str = "compose.yml";

/// The combinations of compose files that a recipe documents, each as `COMPOSE_FILE` lists them: the one of its `.env.sample`,
/// the one of each commented assignment there, and `compose.yml` with each `compose.*.yml` that none of these names.
pub fn combinations(tree: &Tree) -> Vec<String> {
    let sample = sample(tree).unwrap_or_default();
    let own = assigned(sample).get(LIST).filter(|list| !list.is_empty()).unwrap_or(FIRST).to_owned();
    let mut found = vec![own.clone()];
    for line in commented(sample).filter(|line| line.starts_with(LIST)) {
        // A commented assignment may add to the value of the sample.
        let read = Env::parse(&format!("{LIST}={own}\n{line}\n"));
        found.extend(read.ok().and_then(|env| env.get(LIST).map(str::to_owned)).filter(|list| !list.is_empty()));
    }
    let named: BTreeSet<String> = found.iter().flat_map(|list| list.split(':')).map(str::to_owned).collect();
    let alone = |path: &&str| {
        path.starts_with("compose.") && path.ends_with(".yml") && ![FIRST, OVERLAY].contains(path) && !named.contains(*path)
    };
    found.extend(tree.paths().filter(alone).map(|path| format!("{FIRST}:{path}")));
    let mut seen = BTreeSet::new();
    found.retain(|list| seen.insert(list.clone()));
    found
}

/// The variables of a new app with everything set that its `.env.sample` has in comments: an operator who turns an option on
/// turns on what belongs to it.
pub fn everything_set(tree: &Tree) -> Env {
    let sample = sample(tree).unwrap_or_default();
    let env = assigned(sample);
    let optional = commented(sample).filter_map(|line| Env::parse(line).ok());
    let optional: Vec<(String, String)> =
        optional.flat_map(|env| env.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Vec<_>>()).collect();
    optional.into_iter().fold(env, |env, (key, value)| if env.get(&key).is_some() { env } else { env.with(&key, &value) })
}

fn assigned(sample: &str) -> Env {
    Env::parse(sample).unwrap_or_default()
}

/// The assignments in comments, without their `#`.
fn commented(sample: &str) -> impl Iterator<Item = &str> {
    let bare = |line: &'_ str| -> Option<usize> {
        line.starts_with('#').then(|| line.len() - line.trim_start_matches(['#', ' ']).len())
    };
    sample.lines().map(str::trim).filter_map(move |line| Some(&line[bare(line)?..])).filter(|line| {
        line.split_once('=').is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
    })
}

/// The outcome of the added steps; absent without `--thorough`. They are verified only on head.
pub fn outcome(plan: &Plan, state: &RunState) -> Option<Outcome> {
    let steps: Vec<_> = plan.steps.iter().filter(|planned| planned.class == Class::Thorough).collect();
    if steps.is_empty() {
        return None;
    }
    let on_head = || state.not_on_head().map_or(Outcome::Passed, Outcome::Unverified);
    Some(worst_gap(state, &steps).unwrap_or_else(on_head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::recipe::compose::Entry;

    fn tree(sample: &str, files: &[&str]) -> Tree {
        let files = files.iter().map(|file| ((*file).to_owned(), Entry::Text(String::new())));
        files.chain([(".env.sample".to_owned(), Entry::Text(sample.to_owned()))]).collect()
    }

    #[test]
    fn combinations_are_the_documented_lists_and_each_file_that_none_names() {
        let all =
            &["compose.yml", "compose.db.yml", "compose.mail.yml", "compose.ci.yml", "docker-compose.yml", "compose.md"][..];
        for (sample, files, found) in [
            ("", &all[..1], &["compose.yml"][..]),
            ("", all, &["compose.yml", "compose.yml:compose.db.yml", "compose.yml:compose.mail.yml"]),
            ("COMPOSE_FILE=compose.yml:compose.db.yml\n", &all[..2], &["compose.yml:compose.db.yml"]),
            (
                "COMPOSE_FILE=\"compose.yml\"\n#COMPOSE_FILE=\"$COMPOSE_FILE:compose.db.yml:compose.mail.yml\"\n",
                all,
                &["compose.yml", "compose.yml:compose.db.yml:compose.mail.yml"],
            ),
            (
                "# COMPOSE_FILE=\"compose.yml:compose.db.yml\"\n## about COMPOSE_FILE = nothing\n",
                all,
                &["compose.yml", "compose.yml:compose.db.yml", "compose.yml:compose.mail.yml"],
            ),
        ] {
            assert_eq!(combinations(&tree(sample, files)), found, "{sample}");
        }
    }

    #[test]
    fn option_in_a_comment_is_set_unless_the_sample_sets_it() {
        let env = everything_set(&tree("A=1\n#A=2\n#B=3\n# C=4 # length=5\n# not this = one\n", &[]));
        assert_eq!(env.iter().collect::<Vec<_>>(), [("A", "1"), ("B", "3"), ("C", "4")]);
    }
}
