//! Tests without an engine: tables, recordings, models, properties.

mod architecture;
mod ingress;
mod next;
mod sweep;
mod sweep_janitor;
mod verdict;
mod judge;
mod judge_worlds;
