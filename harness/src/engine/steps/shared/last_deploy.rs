//! What abra was last given to deploy.

use crate::pure::recipe::{
    compose::{Env, Resolved},
    policy::DefaultLimits,
};

/// What abra was last given to deploy.
#[derive(Debug, Clone)]
pub struct LastDeploy {
    /// The resolved files.
    pub resolved: Resolved,
    /// The app's variables.
    pub env: Env,
    /// The limits of the host file that were added.
    pub limits: DefaultLimits,
}
