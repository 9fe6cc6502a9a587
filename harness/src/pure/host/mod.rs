//! Decisions about the host: whether it is fit, whether a stack has settled, what belongs to a run, and what to remove.

pub mod claim;
pub mod cleanup_plan;
pub mod converge;
pub mod http;
pub mod inventory;
pub mod inventory_diff;
pub mod marker;
pub mod preflight;
