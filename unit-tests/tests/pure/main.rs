//! Tests without an engine: tables, recordings, models, properties.

mod sweep;
mod sweep_janitor;
mod ingress;
