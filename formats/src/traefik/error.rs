//! Why a rule of Traefik is not read.

/// Why a rule is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Traefik refuses it, and the router takes nothing.
    #[error("{0}")]
    Invalid(String),
    /// Traefik may take it, and what it takes then is not certain.
    #[error("{0}")]
    Unsupported(String),
}
