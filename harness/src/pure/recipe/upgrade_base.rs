//! The base: the commit that the app is upgraded from, with the reason for the choice.
//!
//! The order follows docs/explanation/predecessor.md: the base of the request, the last green run on this host, the newest older
//! release, the branch that head is to be merged into. The base is always older than head, or no release.

use std::{cmp::Ordering, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    git::{Branch, Tag},
    names::Commit,
    version::RecipeVersion,
};

/// The base of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Base {
    /// A release.
    Release {
        /// Its version, which is its tag.
        version: String,
        /// Its commit.
        commit: Commit,
        /// The reason for the choice.
        why: String,
    },
    /// A branch or a commit that is not a release.
    Ref {
        /// Its name.
        name: String,
        /// Its commit.
        commit: Commit,
        /// The reason for the choice.
        why: String,
    },
    /// No base: head is deployed directly.
    None {
        /// The reason.
        why: String,
    },
}

impl Base {
    /// Its commit; absent without a base.
    pub fn commit(&self) -> Option<&Commit> {
        match self {
            Base::Release { commit, .. } | Base::Ref { commit, .. } => Some(commit),
            Base::None { .. } => None,
        }
    }

    /// Its version; absent unless it is a release.
    pub fn version(&self) -> Option<&str> {
        match self {
            Base::Release { version, .. } => Some(version),
            Base::Ref { .. } | Base::None { .. } => None,
        }
    }

    /// The reason for the choice, or for its absence.
    pub fn why(&self) -> &str {
        match self {
            Base::Release { why, .. } | Base::Ref { why, .. } | Base::None { why } => why,
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base::Release { version, .. } => f.write_str(version),
            Base::Ref { name, .. } => f.write_str(name),
            Base::None { .. } => f.write_str("none"),
        }
    }
}

/// The head of the last green run of the recipe on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Green {
    /// The version by its tag.
    pub version: String,
}

/// A base chosen by request or pack, with its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The tag, branch or commit.
    pub name: String,
    /// The commit.
    pub commit: Commit,
    /// The source of the choice.
    pub by: Chooser,
}

/// The source of a chosen base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chooser {
    /// The request.
    Request,
    /// The recipe's pack, for all heads.
    Pack,
}

impl fmt::Display for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chooser::Request => "--base",
            Chooser::Pack => "the recipe's pack",
        })
    }
}

/// The facts for the choice of a base.
#[derive(Debug, Clone, Copy)]
pub struct BaseFacts<'a> {
    /// The head.
    pub head: &'a Commit,
    /// The version by head's label; absent without one.
    pub head_version: Option<&'a str>,
    /// All tags of the recipe, including those that are not versions.
    pub tags: &'a [Tag],
    /// The tip of the branch that head is to be merged into.
    pub branch: Option<&'a Branch>,
    /// The last green run on this host.
    pub green: Option<&'a Green>,
    /// The chosen base; absent for the default.
    pub chosen: Option<&'a Chosen>,
}

/// The chosen base is head itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{by} is {name}, which is head itself; name an older one, or leave the upgrade out with --tiers")]
pub struct BaseIsHead {
    /// The name of the chosen base.
    pub name: String,
    /// The source of the choice.
    pub by: Chooser,
}

/// Chooses the base.
pub fn base(known: &BaseFacts<'_>) -> Result<Base, BaseIsHead> {
    if let Some(chosen) = known.chosen {
        return chosen_base(known, chosen);
    }
    let Some(head) = known.head_version.and_then(|version| version.parse::<RecipeVersion>().ok()) else {
        return Ok(branch_base(known, "head's files name no version"));
    };
    let older = releases(known).filter(|(version, _)| version.precedence(&head) == Ordering::Less);
    let green = known.green.and_then(|green| older.clone().find(|(version, _)| version.as_str() == green.version));
    let newest = || older.clone().max_by(|(a, _), (b, _)| a.pick_order(b));
    let (found, why) = match (green, known.green) {
        (Some(green), _) => (Some(green), "the head of the last green run on this host".to_owned()),
        (None, Some(green)) if green.version == head.as_str() => {
            (newest(), format!("the newest release before {head}, which was green on this host already"))
        }
        (None, _) => (newest(), format!("the newest release before {head}")),
    };
    Ok(match found {
        Some((version, commit)) => Base::Release { version: version.as_str().to_owned(), commit: commit.clone(), why },
        None => branch_base(known, &format!("there is no release before {head}")),
    })
}

/// The releases that are not head itself.
fn releases<'a>(known: &BaseFacts<'a>) -> impl Iterator<Item = (RecipeVersion, &'a Commit)> + Clone {
    let head = known.head;
    let tags = known.tags.iter().filter(move |tag| tag.commit != *head);
    tags.filter_map(|tag| Some((tag.name.parse::<RecipeVersion>().ok()?, &tag.commit)))
}

fn chosen_base(known: &BaseFacts<'_>, chosen: &Chosen) -> Result<Base, BaseIsHead> {
    let Chosen { name, commit, by } = chosen;
    if commit == known.head {
        return Err(BaseIsHead { name: name.clone(), by: *by });
    }
    let tag = known.tags.iter().find(|tag| tag.name == *name && tag.name.parse::<RecipeVersion>().is_ok());
    let why = format!("chosen by {by}");
    Ok(match tag {
        Some(tag) => Base::Release { version: tag.name.clone(), commit: commit.clone(), why },
        None => Base::Ref { name: name.clone(), commit: commit.clone(), why },
    })
}

fn branch_base(known: &BaseFacts<'_>, because: &str) -> Base {
    match known.branch {
        Some(branch) if branch.commit != *known.head => {
            let why = format!("the tip of {}, because {because}", branch.name);
            Base::Ref { name: branch.name.clone(), commit: branch.commit.clone(), why }
        }
        Some(branch) => Base::None { why: format!("{because}, and head is the tip of {}", branch.name) },
        None => Base::None { why: because.to_owned() },
    }
}

/// Whether abra can deploy a release of these tags by its version: a single lightweight tag makes abra refuse all of them (R014).
pub fn can_be_pinned(tags: &[Tag]) -> bool {
    tags.iter().all(|tag| tag.annotated || tag.name.parse::<RecipeVersion>().is_err())
}

/// Versions of equal precedence, one sentence each: an anomaly of the recipe.
pub fn duplicates(tags: &[Tag]) -> Vec<String> {
    let mut versions: Vec<RecipeVersion> = tags.iter().filter_map(|tag| tag.name.parse().ok()).collect();
    versions.sort_by(RecipeVersion::pick_order);
    let same = versions.windows(2).filter(|pair| pair[0].precedence(&pair[1]) == Ordering::Equal);
    same.map(|pair| format!("{} and {} claim the same place among the releases; {} counts", pair[0], pair[1], pair[1])).collect()
}
