//! The command line of taster.

pub mod cli;
pub mod commands;
pub mod error;
pub mod janitor;
