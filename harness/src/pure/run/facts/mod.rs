//! The facts from which a plan is derived.

pub mod recipe;

use crate::{
    model::{head::Head, pack::Pack, tested_app::Images},
    pure::{
        host::preflight::Needs,
        recipe::{
            compose::{Resolved, Tree},
            release::ReleaseFaults,
            upgrade_base::{Base, LeftOut},
        },
    },
};

/// The facts that are known before the plan.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The commit under test.
    pub head: Head,
    /// Its files.
    pub tree: Tree,
    /// Its resolved compose files, by its `.env.sample`.
    pub resolved: Resolved,
    /// What the app is upgraded from.
    pub base: Base,
    /// The files of base; absent without a base.
    pub base_files: Option<BaseFiles>,
    /// What lint compares head with: base, also where no upgrade was asked for.
    pub against: Base,
    /// The tags that base was not chosen from.
    pub left_out: Vec<LeftOut>,
    /// The faults of head as a release.
    pub faults: ReleaseFaults,
    /// The needs of the run.
    pub needs: Needs,
    /// Its pack; empty without one.
    pub pack: Pack,
}

impl Facts {
    /// The images of base and head, by their compose files.
    pub fn images(&self) -> Images {
        let of = |resolved: &Resolved| {
            resolved.services.iter().map(|(name, service)| (name.clone(), service.image.to_string())).collect()
        };
        Images { base: self.base_files.as_ref().map(|base| of(&base.resolved)).unwrap_or_default(), head: of(&self.resolved) }
    }
}

/// The files of base.
#[derive(Debug, Clone)]
pub struct BaseFiles {
    /// The files.
    pub tree: Tree,
    /// The resolved compose files, by their `.env.sample`.
    pub resolved: Resolved,
    /// Whether abra can deploy it by its version; else the checkout is deployed.
    pub pinned: bool,
    /// The compose file of the pack that repairs it, which is among the files.
    pub repair: Option<String>,
}
