//! The implementations of the ports. Only these modules name a crate that reaches outside.

pub mod abra;
pub mod browser;
pub mod checkout;
pub mod children;
pub mod clock;
pub mod executables;
pub mod files;
pub mod folder;
mod spawn;
pub mod machine;
pub mod neighbours;
pub mod no_child_register;
mod output;
mod proc;
mod process_tree;
pub mod pack_program;
pub mod screenshot;
pub mod swarm;
pub mod tree;
pub mod web;

pub use proc::start_ticks;
