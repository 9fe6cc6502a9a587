//! Interpolation of variables in compose files.

pub use formats::interpolation::{Flaw, fill};
