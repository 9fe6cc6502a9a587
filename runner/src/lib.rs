//! The command line of taster.

pub mod cli;
pub mod commands;
mod ending;
pub mod env;
pub mod error;
pub mod history;
pub mod host;
mod kept_app;
pub mod logging;
pub mod output;
pub mod packs;
pub mod pure;
pub mod recipe_reading;
pub mod recovery;
mod run_args;
mod runtime;
mod single_run;
mod state_folder;
pub mod wiring;
mod workspace;
