//! The differences between two results of what should be the same run.

use std::collections::{BTreeMap, BTreeSet};

use super::{Image, Results, Status};

/// The differences between the results of a file, `claimed`, and those of a repeated run, `repeated`: one sentence each, the most
/// severe first: what was under test, verdict, level, rungs; then steps and checks by name, count and status; then the images.
/// Times, ids of tasks and names of the run do not count.
pub fn differences(claimed: &Results, repeated: &Results) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, one: String, other: String| {
        if one != other {
            found.push(format!("{what} was {one} and is {other}"));
        }
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    differs("the recipe", claimed.recipe.clone(), repeated.recipe.clone());
    differs("head", known(&claimed.commit), known(&repeated.commit));
    let base = |results: &Results| results.base.as_ref().map_or_else(|| "none".to_owned(), |base| base.commit.clone());
    differs("base", base(claimed), base(repeated));
    differs("the verdict", claimed.verdict.outcome.name().into(), repeated.verdict.outcome.name().into());
    differs("the level", claimed.level.to_string(), repeated.level.to_string());
    for ((name, one), (_, other)) in rungs(claimed).into_iter().zip(rungs(repeated)) {
        differs(&format!("rung {name}"), one.name().into(), other.name().into());
    }
    steps(claimed, repeated, &mut differs);
    images("", &claimed.images, &repeated.images, &mut differs);
    images(" before the upgrade", &claimed.images_before, &repeated.images_before, &mut differs);
    found
}

fn rungs(results: &Results) -> [(&'static str, Status); 5] {
    let rungs = results.rungs;
    [
        ("install", rungs.install),
        ("upgrade", rungs.upgrade),
        ("backup_restore", rungs.backup_restore),
        ("custom", rungs.custom),
        ("lint", rungs.lint),
    ]
}

/// Compares steps by name, and the checks of each by name; a name that is there several times counts several times.
fn steps(claimed: &Results, repeated: &Results, differs: &mut impl FnMut(&str, String, String)) {
    let by_name = |results: &Results| -> BTreeMap<String, Vec<&'static str>> {
        let mut all: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for (_, step) in results.all_steps() {
            all.entry(format!("step {}", step.name)).or_default().push(step.status.name());
            for test in &step.tests {
                all.entry(format!("check {:?} of step {}", test.name, step.name)).or_default().push(test.status.name());
            }
        }
        all
    };
    let (one, other) = (by_name(claimed), by_name(repeated));
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        let status = |all: &BTreeMap<String, Vec<&str>>| all.get(name).map_or_else(|| "absent".to_owned(), |all| all.join(", "));
        differs(name, status(&one), status(&other));
    }
}

/// Compares images by their digests where both are known, else by their names: a tag that was moved is another image.
fn images(
    when: &str,
    claimed: &BTreeMap<String, Image>,
    repeated: &BTreeMap<String, Image>,
    differs: &mut impl FnMut(&str, String, String),
) {
    let services: BTreeSet<&String> = claimed.keys().chain(repeated.keys()).collect();
    for service in services {
        let (one, other) = (claimed.get(service), repeated.get(service));
        let digests = one.zip(other).and_then(|(one, other)| one.digest.as_ref().zip(other.digest.as_ref()));
        let name = |image: Option<&Image>| image.map_or_else(|| "absent".to_owned(), |image| image.image.clone());
        let what = format!("the image of service {service}{when}");
        match digests {
            Some((one, other)) => differs(&what, one.clone(), other.clone()),
            None => differs(&what, name(one), name(other)),
        }
    }
}
