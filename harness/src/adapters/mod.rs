//! The implementations of the ports. Only these modules name a crate that reaches outside.

pub mod abra;
pub mod browser;
pub mod checkout;
pub mod children;
pub mod clock;
pub mod executables;
pub mod files;
pub mod folder;
mod foreign_repository;
mod git;
pub mod machine;
pub mod neighbours;
pub mod no_child_register;
mod output;
pub mod pack_program;
mod proc;
mod process_tree;
pub mod screenshot;
mod spawn;
pub mod swarm;
mod tree;
pub mod web;

pub use proc::start_ticks;
