//! The vocabulary of the tests: simulated worlds, recordings, and stacks made by hand on a real Swarm.

pub mod engine;
pub mod sim_world;
pub mod recipe;
pub mod stacks;
