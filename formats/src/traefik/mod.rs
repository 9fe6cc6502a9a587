//! What Traefik reads: the rules of its routers.

pub mod regexp;
pub mod rule;
