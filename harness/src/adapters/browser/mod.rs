//! Chromium, driven by chromedriver over plain HTTP on the loopback.

mod session;
mod tools;

pub use session::{Action, ActionError, ConsoleLine, DriverError, LoadError, Session, SessionError};
pub use tools::{find, missing};
