//! The fold of looks: what is known of a stack beyond its present moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::view::{Index, Look, SpecDigest};
use crate::model::names::ServiceName;

/// The version index and spec digest of each service right after a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(pub BTreeMap<ServiceName, (Index, SpecDigest)>);

/// What a stack is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "goal", content = "marks", rename_all = "kebab-case")]
pub enum Goal {
    /// That all its services settle, whatever they are.
    Settle,
    /// That all its services settle on what a deploy just asked for.
    Upgrade(Marks),
}

/// All that was seen of a stack so far, as far as the judge needs it.
#[derive(Debug, Clone)]
pub struct Watch {
    goal: Goal,
    last: Option<Look>,
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub fn new(goal: Goal) -> Self {
        Self { goal, last: None }
    }
}

/// The watch after one more look.
pub fn see(watch: Watch, look: Look) -> Watch {
    Watch { last: Some(look), ..watch }
}
