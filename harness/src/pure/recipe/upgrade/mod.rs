//! Decisions of an upgrade: the migration of the `.env`, the proof that head runs, and the services that head dropped.

mod migrate;
mod proof;

pub use migrate::{Migration, migrate};
pub use proof::{differs, dropped, flaws};
