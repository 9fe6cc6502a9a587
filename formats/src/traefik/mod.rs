//! What Traefik reads: the labels of services, and the rules of its routers in them.

mod error;
pub mod labels;
pub mod regexp;
pub mod rule;
