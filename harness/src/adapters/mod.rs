//! The outside, behind the ports. Only these modules name a crate that reaches outside.

pub mod abra;
pub mod browser;
pub mod checkout;
pub mod children;
pub mod clock;
pub mod executables;
pub mod files;
pub mod folder;
pub mod machine;
pub mod neighbours;
mod output;
mod proc;
pub mod program;
pub mod swarm;
pub mod tree;
pub mod no_child_register;
pub mod web;

pub use proc::start_ticks;
