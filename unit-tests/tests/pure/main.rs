//! Tests without an engine: tables, recordings, models, properties.

mod abra_checkout;
mod abra_fakes;
mod abra_redact;
mod architecture;
mod ingress;
mod judge;
mod judge_marks;
mod judge_worlds;
mod junit;
mod next;
mod run;
mod sweep;
mod sweep_janitor;
mod terminal;
mod verdict;
