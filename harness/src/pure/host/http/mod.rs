//! Whether an answer over HTTP is the app's own, and what it says about the app.

pub mod agreement;
pub mod impostors;
pub mod pages;
pub mod redirect;
