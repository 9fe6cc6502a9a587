//! Tests without an engine: tables, recordings, models, properties.

mod abra_checkout;
mod abra_fakes;
mod abra_redact;
mod architecture;
mod book;
mod flake;
mod html;
mod ingress;
mod judge;
mod judge_marks;
mod judge_worlds;
mod junit;
mod level;
mod next;
mod preflight;
mod reference;
mod results;
mod run;
mod schema;
mod sweep;
mod sweep_janitor;
mod timeline;
mod verdict;
