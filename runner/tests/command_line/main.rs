//! The binary on the command line, without an engine.

mod arguments;
mod earlier_runs;
mod help;
mod schema;
mod state_folder;
mod taster;
