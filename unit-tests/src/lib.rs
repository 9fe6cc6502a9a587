//! The vocabulary of the tests: simulated hosts, recordings, and runs and stacks on a real Swarm.

pub mod background_process;
pub mod command_output;
pub mod crash_injection;
pub mod engine;
pub mod event_log;
pub mod hanging_driver;
pub mod leak_trend;
pub mod lint_table;
pub mod recipe;
pub mod recording;
pub mod sandbox_fixture;
pub mod scratch_engine;
pub mod sim_app;
pub mod sim_browser;
pub mod sim_child;
pub mod sim_data;
pub mod sim_faults;
pub mod sim_host;
pub mod sim_inventory;
pub mod sim_machine;
pub mod sim_neighbours;
pub mod sim_program;
pub mod sim_swarm;
pub mod stacks;
pub mod test_env;
pub mod test_run;
