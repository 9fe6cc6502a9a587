//! Decisions and texts of the command line as pure functions: without runtime, file system, process or clock.

pub(crate) mod changes;
pub mod reference;
pub(crate) mod retention;
pub mod scaffold;
pub(crate) mod table;
