//! Tests without an engine: tables, recordings, models, properties.

mod architecture;
mod ingress;
mod next;
mod sweep;
mod sweep_janitor;
mod verdict;
mod judge;
mod judge_worlds;
mod abra_checkout;
mod abra_fakes;
mod abra_redact;
