//! The command line of taster.

pub mod aftermath;
mod asked;
pub mod cli;
pub mod commands;
pub mod env;
pub mod error;
pub mod guardian;
pub mod history;
pub mod host;
pub mod janitor;
pub mod output;
pub mod outside;
pub mod packs;
pub mod reference;
