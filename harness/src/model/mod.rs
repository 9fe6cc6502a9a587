//! Values that are parsed once at the edge and stay valid: names, times, requests, host settings, outcomes.

pub mod host;
pub mod names;
pub mod outcome;
pub mod pack;
pub mod protocol;
pub mod request;
pub mod settings;
pub mod text;
pub mod time;
pub mod version;
