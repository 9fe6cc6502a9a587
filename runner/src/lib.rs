//! The command line of taster.

pub mod aftermath;
mod asked;
mod attach;
mod changes;
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
mod recall;
pub mod reference;
pub mod scaffold;
mod table;
mod workspace;
