//! The labels by which the sandbox recognises its own objects on the engine.

use std::collections::HashMap;

/// The label of every object that the sandbox creates.
pub(crate) const SANDBOX: &str = "taster.sandbox";
/// The label with the folder of the sandbox that an object belongs to.
pub(crate) const HOME: &str = "taster.home";

/// The labels that every object of the sandbox has.
pub(crate) fn base() -> HashMap<String, String> {
    HashMap::from([(SANDBOX.to_owned(), "1".to_owned())])
}
