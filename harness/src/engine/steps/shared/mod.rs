//! Code that several steps use. It uses no step, and a step uses no other step, so each step can be read by itself.

pub mod answer_time;
pub mod attributed;
pub mod backup_service;
pub mod canary_hint;
pub mod cleanup;
pub mod compose;
pub mod context;
pub mod deployment;
pub mod evidence;
mod explain;
pub mod failure;
pub mod last_deploy;
pub mod live_power;
pub mod new_app;
pub mod pack_function;
pub mod permitted_deploy;
pub mod settle;
pub mod settled_app;
pub mod tasks;
pub mod test_outcome;

use std::time::Duration;

/// How long abra may take for a command that changes files or submits a stack.
pub(super) const ABRA_TIMEOUT: Duration = Duration::from_secs(50);
