//! Decisions and texts of the command line: pure functions. No runtime, no file system, no process, no clock.

pub(crate) mod changes;
pub mod reference;
pub mod scaffold;
pub(crate) mod table;
