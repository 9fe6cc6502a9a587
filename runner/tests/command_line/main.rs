//! The binary on the command line, without an engine.

mod arguments;
mod earlier_runs;
mod help;
mod resolved;
mod schema;
mod stand_in;
mod state_folder;
mod taster;
