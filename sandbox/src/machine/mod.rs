//! The machine that the sandbox is on: its programs, packages, processes and ports.

pub(crate) mod browser;
pub(crate) mod packages;
pub mod ports;
pub(crate) mod process;
pub(crate) mod programs;
