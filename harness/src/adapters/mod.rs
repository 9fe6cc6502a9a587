//! The outside, behind the ports. Only these modules name a crate that reaches outside.

pub mod swarm;
