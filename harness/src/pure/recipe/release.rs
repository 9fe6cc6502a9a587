//! What a release owes its operators beside files that can be deployed: a label that names its version, an annotated tag, and a
//! note where they have to act. abra's lint knows only a part of it, and reads the tags of all commits alike.

use std::{collections::BTreeSet, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compose::Resolved;
use crate::model::{git::Tag, names::Commit, version::RecipeVersion};

/// The folder of the notes for operators.
const NOTES: &str = "release/";
/// The note of the next release, which abra renames when it publishes one.
const NEXT_NOTE: &str = "release/next";

/// A fault of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum ReleaseFault {
    /// No service has the label with the version.
    LabelMissing,
    /// Services have different versions in their labels.
    LabelsDisagree {
        /// The labels.
        labels: Vec<String>,
    },
    /// The label is not a version.
    LabelMalformed {
        /// The label.
        label: String,
    },
    /// The commit is tagged with another version than its label names.
    LabelNotRaised {
        /// The label.
        label: String,
        /// The tag.
        tag: String,
    },
    /// The commit is tagged with a lightweight tag, which abra does not deploy by its version.
    LightweightTag {
        /// The tag.
        tag: String,
    },
    /// A version that demands something of operators has no note for them.
    NoNote {
        /// The version.
        version: String,
        /// The version that it replaces.
        from: String,
    },
}

impl ReleaseFault {
    /// Its name in the list of broken rules; that of abra where abra has a rule for it.
    pub fn rule(&self) -> &'static str {
        match self {
            ReleaseFault::LabelMissing => "label-missing",
            ReleaseFault::LabelsDisagree { .. } => "labels-disagree",
            ReleaseFault::LabelMalformed { .. } => "label-malformed",
            ReleaseFault::LabelNotRaised { .. } => "label-not-raised",
            ReleaseFault::LightweightTag { .. } => LIGHTWEIGHT_RULE,
            ReleaseFault::NoNote { .. } => "release-note-missing",
        }
    }
}

/// abra's rule for lightweight tags.
pub const LIGHTWEIGHT_RULE: &str = "R014";

impl fmt::Display for ReleaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LABEL: &str = "the label coop-cloud.${STACK_NAME}.version";
        match self {
            ReleaseFault::LabelMissing => write!(f, "no service has {LABEL}; add it to the service app"),
            ReleaseFault::LabelsDisagree { labels } => {
                write!(f, "services name different versions in {LABEL}: {}", labels.join(", "))
            }
            ReleaseFault::LabelMalformed { label } => {
                write!(f, "{LABEL} is {label:?}, which is not a version such as 1.2.0+3.4.5")
            }
            ReleaseFault::LabelNotRaised { label, tag } => {
                write!(f, "the tag is {tag}, and {LABEL} says {label}; raise the label, and tag the commit that has it")
            }
            ReleaseFault::LightweightTag { tag } => {
                write!(f, "{LIGHTWEIGHT_RULE} (the tag {tag} is lightweight; replace it by an annotated one)")
            }
            ReleaseFault::NoNote { version, from } => {
                write!(f, "{version} is a new major version after {from} without a note for operators; write {NOTES}{version}")
            }
        }
    }
}

/// A commit as a release.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseFacts<'a> {
    /// The commit.
    pub commit: &'a Commit,
    /// The resolved files of the commit.
    pub resolved: &'a Resolved,
    /// The paths of its files.
    pub paths: &'a BTreeSet<&'a str>,
    /// All tags of the recipe.
    pub tags: &'a [Tag],
    /// The version of the release that it replaces; absent without one.
    pub replaces: Option<&'a str>,
}

/// The versions in the labels of services, those of the service `app` first.
pub fn labels(resolved: &Resolved) -> Vec<&str> {
    let key = format!("coop-cloud.{}.version", resolved.stack);
    let of = |name: &str| resolved.services.get(name).and_then(|service| service.labels.get(&key));
    let others = resolved.services.keys().filter(|name| *name != "app").filter_map(|name| of(name));
    let mut labels: Vec<&str> = Vec::new();
    for label in of("app").into_iter().chain(others) {
        if !labels.contains(&label.as_str()) {
            labels.push(label);
        }
    }
    labels
}

/// The faults of a commit as a release.
pub fn faults(facts: &ReleaseFacts<'_>) -> Vec<ReleaseFault> {
    let own = facts.tags.iter().filter(|tag| tag.commit == *facts.commit);
    let versions: Vec<(&Tag, RecipeVersion)> = own.filter_map(|tag| Some((tag, tag.name.parse().ok()?))).collect();
    let mut faults = label_faults(facts, &versions);
    let lightweight = versions.iter().filter(|(tag, _)| !tag.annotated);
    faults.extend(lightweight.map(|(tag, _)| ReleaseFault::LightweightTag { tag: tag.name.clone() }));
    faults.extend(note_fault(facts, &versions));
    faults
}

fn label_faults(facts: &ReleaseFacts<'_>, versions: &[(&Tag, RecipeVersion)]) -> Vec<ReleaseFault> {
    let labels = labels(facts.resolved);
    let Some(label) = labels.first() else { return vec![ReleaseFault::LabelMissing] };
    if labels.len() > 1 {
        return vec![ReleaseFault::LabelsDisagree { labels: labels.into_iter().map(str::to_owned).collect() }];
    }
    let Ok(version) = label.parse::<RecipeVersion>() else {
        return vec![ReleaseFault::LabelMalformed { label: (*label).to_owned() }];
    };
    let bare = |version: &RecipeVersion| version.as_str().trim_start_matches('v').to_owned();
    if versions.is_empty() || versions.iter().any(|(_, tag)| bare(tag) == bare(&version)) {
        return Vec::new();
    }
    let newest = versions.iter().max_by(|(_, a), (_, b)| a.pick_order(b));
    newest
        .map(|(tag, _)| ReleaseFault::LabelNotRaised { label: (*label).to_owned(), tag: tag.name.clone() })
        .into_iter()
        .collect()
}

/// The fault of a new major version without a note. An untagged commit may have the note of the next release.
fn note_fault(facts: &ReleaseFacts<'_>, versions: &[(&Tag, RecipeVersion)]) -> Option<ReleaseFault> {
    let replaced: RecipeVersion = facts.replaces?.parse().ok()?;
    let tagged = versions.iter().map(|(_, version)| version.clone()).max_by(RecipeVersion::pick_order);
    let labelled = || labels(facts.resolved).first().and_then(|label| label.parse().ok());
    let is_tagged = tagged.is_some();
    let version: RecipeVersion = tagged.or_else(labelled)?;
    let has_note = facts.paths.contains(format!("{NOTES}{version}").as_str()) || (!is_tagged && facts.paths.contains(NEXT_NOTE));
    let is_major = version.core()[0] > replaced.core()[0];
    (is_major && !has_note).then(|| ReleaseFault::NoNote { version: version.to_string(), from: replaced.to_string() })
}

/// The faults of head, by origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseFaults {
    /// Faults that head introduced.
    pub introduced: Vec<ReleaseFault>,
    /// Faults of files that were never released, or that base has, too.
    pub existing: Vec<ReleaseFault>,
}

impl ReleaseFaults {
    /// Splits the faults of head. A tag and a note are head's own. A label is, too, where head is tagged or where base has a good
    /// one.
    pub fn of(head: Vec<ReleaseFault>, tagged: bool, base: Option<&[ReleaseFault]>) -> Self {
        let is_introduced = |fault: &ReleaseFault| match fault {
            ReleaseFault::LabelNotRaised { .. } | ReleaseFault::LightweightTag { .. } | ReleaseFault::NoNote { .. } => true,
            ReleaseFault::LabelMissing | ReleaseFault::LabelsDisagree { .. } | ReleaseFault::LabelMalformed { .. } => {
                match base {
                    Some(base) => !base.iter().any(|other| other.rule() == fault.rule()),
                    None => tagged,
                }
            }
        };
        let (introduced, existing) = head.into_iter().partition(is_introduced);
        Self { introduced, existing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::names::StackName,
        pure::recipe::compose::{Entry, Env, Tree, resolve},
    };

    const HEAD: &str = "1111111111111111111111111111111111111111";

    /// The faults of a commit with these labels, on one service each, these tags (those with `~` in front lightweight) and files.
    fn faults_of(labels: &[&str], tags: &[&str], files: &[&str], replaces: Option<&str>) -> Vec<String> {
        let services: String = labels
            .iter()
            .zip(["app", "db"])
            .map(|(label, name)| {
                let label = if label.is_empty() { "a=b".into() } else { format!("coop-cloud.${{STACK_NAME}}.version={label}") };
                format!("  {name}:\n    image: x:1\n    deploy:\n      labels: [\"{label}\"]\n")
            })
            .collect();
        let compose = Entry::Text(format!("version: \"3.8\"\nservices:\n{services}"));
        let tree: Tree = [("compose.yml".to_owned(), compose)].into_iter().collect();
        let stack: StackName = "shop_example_org".parse().unwrap();
        let resolved = resolve(&tree, &Env::default(), &stack).unwrap();
        let commit: Commit = HEAD.parse().unwrap();
        let tag = |name: &&str| {
            let bare = name.trim_start_matches('~');
            Tag { name: bare.to_owned(), commit: commit.clone(), annotated: bare == *name }
        };
        let tags: Vec<Tag> = tags.iter().map(tag).collect();
        let paths = files.iter().copied().collect();
        let facts = ReleaseFacts { commit: &commit, resolved: &resolved, paths: &paths, tags: &tags, replaces };
        faults(&facts).iter().map(|fault| fault.rule().to_owned()).collect()
    }

    #[test]
    fn label_is_compared_with_the_tag_of_a_release_alone() {
        for (labels, tags, expected) in [
            (&["1.0.0+1"][..], &[][..], &[][..]),
            (&["1.0.0+1"], &["1.0.0+1"], &[]),
            (&["v1.0.0+1"], &["1.0.0+1"], &[]),
            (&["1.0.0+1"], &["nightly"], &[]),
            (&["1.0.0+1"], &["1.0.0+1", "1.1.0+1"], &[]),
            (&["1.0.0+1"], &["1.1.0+1"], &["label-not-raised"]),
            (&["1.0.0+1"], &["1.0.0+2"], &["label-not-raised"]),
            (&[""], &[], &["label-missing"]),
            (&[""], &["1.0.0+1"], &["label-missing"]),
            (&["1.0.0"], &["1.0.0+1"], &["label-malformed"]),
            (&["latest"], &[], &["label-malformed"]),
            (&["1.0.0+1", "1.0.0+1"], &["1.0.0+1"], &[]),
            (&["1.0.0+1", "1.1.0+1"], &["1.0.0+1"], &["labels-disagree"]),
            (&["1.0.0+1"], &["~1.0.0+1"], &["R014"]),
            (&["1.0.0+1"], &["1.0.0+1", "~nightly"], &[]),
        ] {
            assert_eq!(faults_of(labels, tags, &[], None), expected, "{labels:?} {tags:?}");
        }
    }

    #[test]
    fn major_version_needs_a_note_for_operators() {
        for (label, tags, files, replaces, missing) in [
            ("2.0.0+1", &["2.0.0+1"][..], &["release/2.0.0+1"][..], Some("1.4.0+1"), false),
            ("2.0.0+1", &["2.0.0+1"], &["release/1.0.0+1", "release/next"], Some("1.4.0+1"), true),
            ("2.0.0+1", &[], &["release/next"], Some("1.4.0+1"), false),
            ("2.0.0+1", &[], &[], Some("1.4.0+1"), true),
            ("1.5.0+1", &["1.5.0+1"], &[], Some("1.4.0+1"), false),
            // An ordinary pull request, which leaves the label.
            ("2.0.0+1", &[], &[], Some("2.0.0+1"), false),
            ("2.0.0+1", &["2.0.0+1"], &[], None, false),
        ] {
            let faults = faults_of(&[label], tags, files, replaces);
            assert_eq!(faults == ["release-note-missing"], missing, "{label} {tags:?} {files:?}: {faults:?}");
        }
    }

    #[test]
    fn label_of_files_that_were_never_released_is_no_fault_of_head() {
        let missing = || vec![ReleaseFault::LabelMissing];
        let note = || vec![ReleaseFault::NoNote { version: "2.0.0+1".into(), from: "1.0.0+1".into() }];
        for (head, tagged, base, introduced) in [
            (missing(), true, None, 1),
            (missing(), false, None, 0),
            (missing(), false, Some(vec![]), 1),
            (missing(), true, Some(missing()), 0),
            (note(), false, None, 1),
            (note(), true, Some(note()), 1),
        ] {
            let split = ReleaseFaults::of(head, tagged, base.as_deref());
            assert_eq!((split.introduced.len(), split.existing.len()), (introduced, 1 - introduced), "{split:?}");
        }
    }
}
