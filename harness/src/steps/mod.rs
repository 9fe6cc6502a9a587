//! What steps do, through ports. A step never calls another; only the engine sequences.

pub mod settle;
pub mod sweep;
