//! An upgrade, decided: what of the `.env` an operator would change, what proves that head runs, what head dropped. All pure.

mod migrate;
mod proof;

pub use migrate::{Migration, migrate};
pub use proof::{differs, dropped, flaws};
