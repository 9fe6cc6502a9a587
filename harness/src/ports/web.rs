//! HTTP, as a client of the app sees it.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::http::HttpView;

/// HTTP, as a client of the app sees it.
#[async_trait]
pub trait Web: Send + Sync {
    /// One request, no redirect followed, the certificate checked against the host's CA and the system's. `cookies` is the header
    /// `Cookie`; empty for none.
    async fn get(&self, url: &str, cookies: &str, timeout: Duration) -> Result<HttpView, WebError>;
    /// Whether a port of an app's machine accepts a connection, which is closed at once.
    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), WebError>;
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// The address does not accept connections, or the name does not resolve.
    #[error("no connection: {message}")]
    NoConnection {
        /// The system's message.
        message: String,
    },
    /// The certificate is not trusted, or not for this name.
    #[error("the certificate is not trusted: {message}")]
    BadCertificate {
        /// The library's message.
        message: String,
    },
    /// There was no whole answer in time.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// The time-out.
        after: Duration,
    },
    /// The connection broke, or the answer is not HTTP.
    #[error("broken answer: {message}")]
    Broken {
        /// The library's message.
        message: String,
    },
}
