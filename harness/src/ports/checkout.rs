//! The recipe's checkout.

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        git::{Branch, Lineage, Tag},
        names::{Commit, RecipeName},
    },
    pure::{
        host::claim::Claim,
        recipe::compose::{Setting, Tree},
    },
};

/// The recipe's checkout in the run's own `ABRA_DIR`.
#[async_trait]
pub trait Checkout: Send + Sync {
    /// Makes the checkout a clone of a folder, its uncommitted changes included as one commit on top. Says whether there were
    /// any.
    async fn adopt(&self, claim: &Claim, recipe: &RecipeName, folder: &Path) -> Result<bool, CheckoutError>;
    /// Reads what the checkout holds.
    async fn read(&self, recipe: &RecipeName) -> Result<Checked, CheckoutError>;
    /// The commit that a tag, branch or commit means.
    async fn find(&self, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError>;
    /// The recipe's files at a commit, also when another one is checked out.
    async fn tree(&self, recipe: &RecipeName, commit: &Commit) -> Result<Tree, CheckoutError>;
    /// How all tags, branches and `others` are related to head.
    async fn lineage(&self, recipe: &RecipeName, head: &Commit, others: &[Commit]) -> Result<Lineage, CheckoutError>;
    /// Checks that the checkout on disk has exactly the files that were judged: paths, modes, bytes.
    async fn verify(&self, recipe: &RecipeName, expected: &Tree) -> Result<(), CheckoutError>;
    /// The text of the app's `.env` that the claim covers.
    async fn env(&self, claim: &Claim) -> Result<String, CheckoutError>;
    /// Puts the checkout on a tag, branch or commit. Files that are not in the commit are removed.
    async fn go(&self, claim: &Claim, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError>;
    /// Makes a clone of the recipe in another `ABRA_DIR`, which the claim covers: only the commit, on branch `main`, with all
    /// tags, and with itself as its origin, so that a fetch needs no network.
    async fn pristine(&self, claim: &Claim, recipe: &RecipeName, commit: &Commit, abra_dir: &Path) -> Result<(), CheckoutError>;
    /// Sets keys of the app's `.env` that the claim covers; keys that are not in it are added at its end.
    async fn set_env(&self, claim: &Claim, settings: &[Setting]) -> Result<(), CheckoutError>;
    /// Adds files to the checkout, or replaces them, by their paths in it. Nothing is committed.
    async fn add(&self, claim: &Claim, recipe: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError>;
    /// Writes a compose file beside the checkouts, so that it is in none of them. Its path from a checkout is `../../<name>`.
    async fn put_beside(&self, claim: &Claim, name: &str, text: &str) -> Result<(), CheckoutError>;
}

/// What a checkout holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The commit that is checked out.
    pub head: Commit,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The tags that point to no commit, or to one that is not there.
    pub stray_tags: Vec<String>,
    /// The branch that changes are merged into, as its origin has it: `main`, else `master`.
    pub branch: Option<Branch>,
}

/// Why the checkout could not be read or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckoutError {
    /// git is not installed.
    #[error("git is not installed")]
    NoGit,
    /// There is no such tag, branch or commit.
    #[error("the recipe has no tag, branch or commit {at:?}")]
    NoSuchRef {
        /// The name that was asked for.
        at: String,
    },
    /// The recipe has something that cannot be read as abra and Docker read it.
    #[error("the recipe cannot be read: {sentence}")]
    Unreadable {
        /// One sentence.
        sentence: String,
    },
    /// The checkout on disk is not what was judged.
    #[error("the checkout is not what was judged: {path} {difference}")]
    Differs {
        /// The first path that differs.
        path: String,
        /// The difference, as a phrase.
        difference: String,
    },
    /// git ended with an error.
    #[error("git {action} failed: {message}")]
    Git {
        /// The git command.
        action: String,
        /// The end of its output.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot use {path}: {message}")]
    File {
        /// The file.
        path: String,
        /// The system's message.
        message: String,
    },
}
