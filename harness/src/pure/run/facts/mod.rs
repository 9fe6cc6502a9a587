//! The facts from which a plan is derived.

pub mod recipe;

use crate::{
    model::{head::Head, pack::Pack},
    pure::{
        host::preflight::Needs,
        recipe::{
            compose::{Resolved, Tree},
            upgrade_base::Base,
        },
    },
};

/// What is known before a plan.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What is under test.
    pub head: Head,
    /// Its files.
    pub tree: Tree,
    /// What they come to, by its `.env.sample`.
    pub resolved: Resolved,
    /// What the app is upgraded from.
    pub base: Base,
    /// The files of that; absent without a base.
    pub before: Option<Before>,
    /// What lint compares head with: base, also where no upgrade was asked for.
    pub against: Base,
    /// What it needs of its host.
    pub needs: Needs,
    /// Its pack; empty without one.
    pub pack: Pack,
}

/// The files of what the app is upgraded from.
#[derive(Debug, Clone)]
pub struct Before {
    /// The files.
    pub tree: Tree,
    /// What they come to, by their `.env.sample`.
    pub resolved: Resolved,
    /// Whether abra can deploy it by its version; else what is checked out is deployed.
    pub pinned: bool,
    /// The compose file that the pack repairs it with; it is among the files.
    pub repair: Option<String>,
}
