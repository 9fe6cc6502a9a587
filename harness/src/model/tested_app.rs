//! The app that the tests of a pack look at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::head::Head;

/// The app under test, with what its tests may need to know of the commits that it is made of.
#[derive(Debug, Clone, Copy)]
pub struct TestedApp<'a> {
    /// The commit under test, and the app that it is deployed as.
    pub head: &'a Head,
    /// The images of base and head.
    pub images: &'a Images,
}

/// The images that the services of an app run, by the services' names in the compose files. A check that is about a change of
/// head looks here whether head makes that change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Images {
    /// Those of base; empty where head is not upgraded from anything.
    pub base: BTreeMap<String, String>,
    /// Those of head.
    pub head: BTreeMap<String, String>,
}
