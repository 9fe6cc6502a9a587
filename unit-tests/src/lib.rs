//! The vocabulary of the tests: simulated worlds, recordings, and stacks made by hand on a real Swarm.

pub mod endless;
pub mod engine;
pub mod ground;
pub mod growth;
pub mod hanging_driver;
pub mod recipe;
pub mod recording;
pub mod sim_app;
pub mod sim_browser;
pub mod sim_data;
pub mod sim_faults;
pub mod sim_host;
pub mod sim_machine;
pub mod sim_mortal;
pub mod sim_neighbours;
pub mod sim_program;
pub mod sim_swarm;
pub mod sim_world;
pub mod spare;
pub mod stacks;
pub mod tale;
pub mod told;
