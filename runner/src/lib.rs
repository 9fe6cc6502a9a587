//! The command line of taster.

mod attach;
pub mod cli;
pub mod commands;
pub mod crash_recovery;
pub mod env;
pub mod error;
pub mod guardian;
pub mod history;
pub mod host;
pub mod janitor;
pub mod output;
pub mod packs;
pub mod pure;
mod run_args;
mod secret_recovery;
pub mod wiring;
mod workspace;
