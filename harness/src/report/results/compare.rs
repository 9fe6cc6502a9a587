//! Two results of what should be the same run, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Image, ResultsV1, Stage, Status};

/// In what `seen` differs from what `claimed` says, a sentence each, the gravest first: what was under test, verdict, level, rungs; then
/// steps and checks by name, count and status; then what the services ran. Times, ids of tasks and names of the run do not count.
pub fn differences(claimed: &ResultsV1, seen: &ResultsV1) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, one: String, other: String| {
        if one != other {
            found.push(format!("{what} was {one} and is {other}"));
        }
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    differs("the recipe", claimed.recipe.clone(), seen.recipe.clone());
    differs("head", known(&claimed.commit), known(&seen.commit));
    let base = |results: &ResultsV1| results.base.as_ref().map_or_else(|| "none".to_owned(), |base| base.commit.clone());
    differs("base", base(claimed), base(seen));
    differs("the verdict", claimed.verdict.outcome.name().into(), seen.verdict.outcome.name().into());
    differs("the level", claimed.level.to_string(), seen.level.to_string());
    for ((name, one), (_, other)) in rungs(claimed).into_iter().zip(rungs(seen)) {
        differs(&format!("rung {name}"), one.name().into(), other.name().into());
    }
    stages(&claimed.stages, &seen.stages, &mut differs);
    images("", &claimed.images, &seen.images, &mut differs);
    images(" before the upgrade", &claimed.images_before, &seen.images_before, &mut differs);
    found
}

fn rungs(results: &ResultsV1) -> [(&'static str, Status); 5] {
    let rungs = results.rungs;
    [
        ("install", rungs.install),
        ("upgrade", rungs.upgrade),
        ("backup_restore", rungs.backup_restore),
        ("custom", rungs.custom),
        ("lint", rungs.lint),
    ]
}

/// Steps by name, and the checks of each by name; one that is there several times counts several times.
fn stages(claimed: &[Stage], seen: &[Stage], differs: &mut impl FnMut(&str, String, String)) {
    let told = |stages: &[Stage]| -> BTreeMap<String, Vec<&'static str>> {
        let mut all: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for stage in stages {
            all.entry(format!("step {}", stage.name)).or_default().push(stage.status.name());
            for test in &stage.tests {
                all.entry(format!("check {:?} of step {}", test.name, stage.name)).or_default().push(test.status.name());
            }
        }
        all
    };
    let (one, other) = (told(claimed), told(seen));
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        let status = |all: &BTreeMap<String, Vec<&str>>| all.get(name).map_or_else(|| "absent".to_owned(), |all| all.join(", "));
        differs(name, status(&one), status(&other));
    }
}

/// Images by their digests where both are known, else by their names: a tag that was moved is another image.
fn images(
    when: &str,
    claimed: &BTreeMap<String, Image>,
    seen: &BTreeMap<String, Image>,
    differs: &mut impl FnMut(&str, String, String),
) {
    let services: BTreeSet<&String> = claimed.keys().chain(seen.keys()).collect();
    for service in services {
        let (one, other) = (claimed.get(service), seen.get(service));
        let digests = one.zip(other).and_then(|(one, other)| one.digest.as_ref().zip(other.digest.as_ref()));
        let name = |image: Option<&Image>| image.map_or_else(|| "absent".to_owned(), |image| image.image.clone());
        let what = format!("the image of service {service}{when}");
        match digests {
            Some((one, other)) => differs(&what, one.clone(), other.clone()),
            None => differs(&what, name(one), name(other)),
        }
    }
}
