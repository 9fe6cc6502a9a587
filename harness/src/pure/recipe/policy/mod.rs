//! Policy: which privileges a recipe needs on the host's engine, and whether its names fit.
//!
//! A pull request's compose files are foreign code that runs on the host's engine. A use that reaches beyond the
//! stack is refused unless the host file allows it for that recipe. Keys that the resolver does not know are refused, and so is
//! what cannot be read.

mod breaches;
mod limits;
mod live;
mod names;
mod routes;
mod variables;

use crate::{
    model::{host::Maxima, names::Domain, privilege::Privilege},
    pure::recipe::{
        compose::{Env, Resolved, Tree},
        post_deploy,
    },
};
use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use breaches::Finding;
pub use breaches::breaches;
pub use limits::{DefaultLimits, LIMITS_NAME, listed_with_limits, live_objections, without_limits};
pub use live::live_breaches;
pub use names::{NameFlaw, Named, name_flaws};
pub use variables::{set_objection, variable_objections};

/// An app as it would be deployed: its resolved files, and what they were resolved from.
#[derive(Debug, Clone, Copy)]
pub struct Deployable<'a> {
    /// The resolved files.
    pub resolved: &'a Resolved,
    /// The files.
    pub tree: &'a Tree,
    /// The app's variables.
    pub env: &'a Env,
    /// The app's domain.
    pub domain: &'a Domain,
}

/// A privilege that a recipe needs and the host file does not allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Breach {
    /// The privilege that it needs.
    pub privilege: Privilege,
    /// The object, as `service app` or `volume data`.
    pub object: String,
    /// The use, as the predicate of a sentence about the object.
    pub asks: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { privilege, object, asks } = self;
        write!(f, "{object} {asks}; where that is meant, allow {privilege} for this recipe in the host file")
    }
}

/// All that policy has against an app of a recipe with these privileges, a sentence each.
pub fn objections(app: &Deployable<'_>, allowed: &BTreeSet<Privilege>, most: &Maxima) -> Vec<String> {
    let Deployable { resolved, tree, env, domain } = app;
    let mut routes = Finding::default();
    routes::check(&mut routes, resolved, domain);
    let breaches = breaches(resolved, tree, allowed).into_iter().chain(routes.beyond(allowed)).map(|breach| breach.to_string());
    let names = name_flaws(resolved).into_iter().map(|flaw| flaw.to_string());
    let limits = limits::objections(resolved, most);
    breaches.chain(names).chain(limits).chain(post_deploy::objections(env, resolved)).collect()
}
