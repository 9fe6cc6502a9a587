//! The base: the commit that the app is upgraded from, with the reason for the choice.
//!
//! Candidates are the stable releases that operators may run when head comes out: not head itself, nothing that was made after
//! it, nothing that is deployed as head is, and, where head's label says which line it continues, nothing of a later line. The
//! base is the highest of them. A request may name another candidate, or an ancestor of head that was never released.

use std::{cmp::Ordering, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    git::{Branch, Lineage, Tag},
    names::Commit,
    version::{BadVersion, Flaw, RecipeVersion},
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
        /// Whether an upgrade to head may well exist, so that it is not verified instead of skipped.
        #[serde(default)]
        unverified: bool,
    },
}

impl Base {
    /// No base, because there is nothing to upgrade from.
    pub fn none(why: impl Into<String>) -> Self {
        Base::None { why: why.into(), unverified: false }
    }

    /// No base, although operators may upgrade to head from something.
    fn unverified(why: impl Into<String>) -> Self {
        Base::None { why: why.into(), unverified: true }
    }

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
            Base::Release { why, .. } | Base::Ref { why, .. } | Base::None { why, .. } => why,
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
    /// All tags of the recipe that point to a commit, including those that are not versions.
    pub tags: &'a [Tag],
    /// The tags that point to no commit.
    pub stray_tags: &'a [String],
    /// How tags, branches and the chosen base are related to head.
    pub lineage: &'a Lineage,
    /// The tip of the branch that head is to be merged into.
    pub branch: Option<&'a Branch>,
    /// The chosen base; absent for the default.
    pub chosen: Option<&'a Chosen>,
}

/// The base, and the tags that it was not chosen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseChoice {
    /// The base.
    pub base: Base,
    /// The tags that are no candidates, in the order of their versions, then of their names.
    pub left_out: Vec<LeftOut>,
}

/// A tag that is no candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// The tag.
    pub tag: String,
    /// The reason.
    pub reason: LeftOutReason,
}

/// Why a tag is no candidate for the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOutReason {
    /// It is not a version of a recipe.
    Unparseable,
    /// It has no `+` and version of the software.
    NoUpstreamPart,
    /// It points to no commit that is there.
    Unreachable,
    /// It is a pre-release.
    PreRelease,
    /// It is head itself.
    IsHead,
    /// It was made after head.
    AfterHead,
    /// All that it deploys is equal to head.
    IdenticalTree,
    /// It is of a later line than head's label, and no ancestor of head.
    NewerThanHead,
    /// Another tag has the same place in the order, and counts.
    DuplicateVersion,
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftOutReason::Unparseable => "is not a version",
            LeftOutReason::NoUpstreamPart => "has no `+` and version of the software",
            LeftOutReason::Unreachable => "points to no commit",
            LeftOutReason::PreRelease => "is a pre-release",
            LeftOutReason::IsHead => "is head itself",
            LeftOutReason::AfterHead => "was made after head",
            LeftOutReason::IdenticalTree => "deploys what head deploys",
            LeftOutReason::NewerThanHead => "is newer than head's label and no ancestor of head",
            LeftOutReason::DuplicateVersion => "has the same place among the releases as another tag, which counts",
        })
    }
}

/// The chosen base is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{by} is {name}, which {reason}; {remedy}")]
pub struct BadBase {
    /// The name of the chosen base.
    pub name: String,
    /// The source of the choice.
    pub by: Chooser,
    /// Why it cannot be the base.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// The remedy for a history that is cut off.
const UNSHALLOW: &str = "fetch the whole history, with `git fetch --unshallow --tags`";

/// A stable release that is a candidate.
#[derive(Debug, Clone)]
struct Release<'a> {
    version: RecipeVersion,
    tag: &'a Tag,
    committed: i64,
}

impl Release<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let precedence = self.version.precedence(&other.version);
        precedence.then(self.committed.cmp(&other.committed)).then_with(|| self.version.pick_order(&other.version))
    }
}

/// Chooses the base.
///
/// # Errors
/// When the request chose something that is no base.
pub fn base(known: &BaseFacts<'_>) -> Result<BaseChoice, BadBase> {
    let (mut candidates, mut left_out) = candidates(known);
    sort(&mut left_out);
    let chosen = match known.chosen.map(|chosen| (chosen.by, chosen_base(known, chosen, &candidates, &left_out))) {
        Some((Chooser::Request, Err(error))) => return Err(error),
        // A pack's choice is for all heads, and does not fit each of them.
        Some((Chooser::Pack, Err(_))) | None => None,
        Some((_, Ok(base))) => Some(base),
    };
    candidates.sort_by(Release::order);
    let base = chosen.unwrap_or_else(|| highest(known, &candidates, &left_out));
    for pair in candidates.windows(2) {
        if pair[0].version.precedence(&pair[1].version) == Ordering::Equal {
            left_out.push(LeftOut { tag: pair[0].tag.name.clone(), reason: LeftOutReason::DuplicateVersion });
        }
    }
    sort(&mut left_out);
    Ok(BaseChoice { base, left_out })
}

/// Sorts versions by their order, and other tags behind them by their names.
fn sort(left_out: &mut [LeftOut]) {
    left_out.sort_by_cached_key(|left| left.tag.clone());
    left_out.sort_by(|a, b| match (a.tag.parse::<RecipeVersion>(), b.tag.parse::<RecipeVersion>()) {
        (Ok(a), Ok(b)) => a.pick_order(&b),
        (a, b) => b.is_ok().cmp(&a.is_ok()),
    });
}

/// The candidates, and the tags that are none.
fn candidates<'a>(known: &BaseFacts<'a>) -> (Vec<Release<'a>>, Vec<LeftOut>) {
    let stray = known.stray_tags.iter().map(|tag| LeftOut { tag: tag.clone(), reason: LeftOutReason::Unreachable });
    let mut left_out: Vec<LeftOut> = stray.collect();
    let mut candidates = Vec::new();
    let label = known.head_version.and_then(|label| label.parse::<RecipeVersion>().ok());
    for tag in known.tags {
        match tag.name.parse::<RecipeVersion>().map_err(reason_of_flaw).and_then(|version| {
            match excluded(known, &label, tag, &version) {
                Some(reason) => Err(reason),
                None => Ok(version),
            }
        }) {
            Ok(version) => {
                let committed = known.lineage.committed.get(&tag.commit).copied().unwrap_or_default();
                candidates.push(Release { version, tag, committed });
            }
            Err(reason) => left_out.push(LeftOut { tag: tag.name.clone(), reason }),
        }
    }
    (candidates, left_out)
}

fn reason_of_flaw(bad: BadVersion) -> LeftOutReason {
    match bad.flaw {
        Flaw::NoUpstreamPart => LeftOutReason::NoUpstreamPart,
        Flaw::Unparseable(_) => LeftOutReason::Unparseable,
    }
}

fn excluded(known: &BaseFacts<'_>, label: &Option<RecipeVersion>, tag: &Tag, version: &RecipeVersion) -> Option<LeftOutReason> {
    let Lineage { ancestors, descendants, changed, .. } = known.lineage;
    let is_newer = || label.as_ref().is_some_and(|label| version.precedence(label) == Ordering::Greater);
    let is_identical = || changed.get(&tag.commit).is_some_and(|paths| !paths.iter().any(|path| is_deployed(path)));
    Some(match () {
        () if tag.commit == *known.head => LeftOutReason::IsHead,
        () if version.is_pre_release() => LeftOutReason::PreRelease,
        () if descendants.contains(&tag.commit) => LeftOutReason::AfterHead,
        () if is_identical() => LeftOutReason::IdenticalTree,
        () if is_newer() && !ancestors.contains(&tag.commit) => LeftOutReason::NewerThanHead,
        () => return None,
    })
}

/// Whether a file can change what is deployed. Texts for people and settings of other programs cannot.
pub fn is_deployed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = path.split_once('/').map(|(folder, _)| folder);
    let for_others = ["release", "tests", "screenshots", "docs", ".github", ".gitea", ".forgejo", ".woodpecker"];
    let others = [".gitignore", ".gitattributes", ".editorconfig", ".drone.yml", ".woodpecker.yml", "renovate.json", "LICENSE"];
    let is_text = path.len() == name.len() && name.to_ascii_lowercase().ends_with(".md");
    !is_text && !others.contains(&path) && !folder.is_some_and(|folder| for_others.contains(&folder))
}

/// The highest candidate; without any release the branch that head is to be merged into.
fn highest(known: &BaseFacts<'_>, candidates: &[Release<'_>], left_out: &[LeftOut]) -> Base {
    if known.lineage.shallow {
        return Base::unverified(format!(
            "the history of the repository is cut off, so which releases are older than head is not known; {UNSHALLOW}"
        ));
    }
    if let Some(Release { version, tag, .. }) = candidates.last() {
        let (version, commit) = (version.as_str().to_owned(), tag.commit.clone());
        let why = match known.head_version {
            Some(label) if label.parse::<RecipeVersion>().is_ok() => {
                format!("the highest release that head, labelled {label}, replaces")
            }
            Some(_) | None => "the highest release that head replaces".to_owned(),
        };
        return Base::Release { version, commit, why };
    }
    let is_stable = |left: &&LeftOut| left.tag.parse::<RecipeVersion>().is_ok_and(|version| !version.is_pre_release());
    let releases: Vec<String> =
        left_out.iter().filter(is_stable).map(|LeftOut { tag, reason }| format!("{tag} {reason}")).collect();
    match releases.is_empty() {
        true => branch_base(known),
        false => Base::unverified(format!("no release can be the base of head: {}", releases.join("; "))),
    }
}

fn branch_base(known: &BaseFacts<'_>) -> Base {
    const BECAUSE: &str = "there is no release";
    let Some(Branch { name, commit }) = known.branch else { return Base::none(BECAUSE) };
    if commit == known.head {
        return Base::none(format!("{BECAUSE}, and head is the tip of {name}"));
    }
    if known.lineage.descendants.contains(commit) {
        return Base::none(format!("{BECAUSE}, and the tip of {name} was made after head"));
    }
    Base::Ref { name: name.clone(), commit: commit.clone(), why: format!("the tip of {name}, because {BECAUSE}") }
}

/// The base that request or pack chose.
fn chosen_base(
    known: &BaseFacts<'_>,
    chosen: &Chosen,
    candidates: &[Release<'_>],
    left_out: &[LeftOut],
) -> Result<Base, BadBase> {
    let Chosen { name, commit, by } = chosen;
    let bad = |reason: String| BadBase { name: name.clone(), by: *by, reason, remedy: remedy(candidates) };
    if commit == known.head {
        return Err(bad("is head itself".to_owned()));
    }
    let why = format!("chosen by {by}");
    let is_ancestor = known.lineage.ancestors.contains(commit);
    let here = candidates.iter().filter(|release| release.tag.commit == *commit);
    if let Some(release) = here.max_by_key(|release| (release.tag.name == *name, release.committed)) {
        if known.lineage.shallow && !is_ancestor {
            let reason = "cannot be distinguished from a newer one, because the history of the repository is cut off".to_owned();
            return Err(BadBase { name: name.clone(), by: *by, reason, remedy: UNSHALLOW.to_owned() });
        }
        return Ok(Base::Release { version: release.version.as_str().to_owned(), commit: commit.clone(), why });
    }
    let tag_here = known.tags.iter().filter(|tag| tag.commit == *commit).find_map(|tag| {
        let left = left_out.iter().find(|left| left.tag == tag.name)?;
        tag.name.parse::<RecipeVersion>().ok().map(|version| (version, left.reason))
    });
    match tag_here {
        Some((_, reason)) if reason != LeftOutReason::PreRelease => Err(bad(reason.to_string())),
        _ if known.lineage.descendants.contains(commit) => {
            Err(bad("was made after head, and that would be a downgrade".to_owned()))
        }
        _ if !is_ancestor => Err(bad("is neither a release that head can replace nor an ancestor of head".to_owned())),
        Some((version, _)) => Ok(Base::Release { version: version.as_str().to_owned(), commit: commit.clone(), why }),
        None => Ok(Base::Ref { name: name.clone(), commit: commit.clone(), why }),
    }
}

fn remedy(candidates: &[Release<'_>]) -> String {
    let leave = "leave the upgrade out with --tiers";
    let mut sorted: Vec<&Release<'_>> = candidates.iter().collect();
    sorted.sort_by(|a, b| b.order(a));
    let names: Vec<&str> = sorted.iter().take(3).map(|release| release.version.as_str()).collect();
    match names.is_empty() {
        true => {
            format!("there is no release that head can replace, so name an ancestor of head that was not released, or {leave}")
        }
        false => format!("name an older release, such as {}, or {leave}", names.join(" or ")),
    }
}

/// Whether abra can deploy a release of these tags by its version: a single lightweight tag makes abra refuse all of them (R014).
pub fn can_be_pinned(tags: &[Tag]) -> bool {
    tags.iter().all(|tag| tag.annotated || tag.name.parse::<RecipeVersion>().is_err())
}
