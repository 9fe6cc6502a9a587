//! Decisions: pure functions over owned facts. No runtime, no file system, no process, no clock.

pub mod host;
pub mod recipe;
pub mod run;
