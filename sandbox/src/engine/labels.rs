//! The labels by which the sandbox knows its own objects on the engine.

use std::collections::HashMap;

/// The label of all that the sandbox made.
pub(crate) const LABEL: &str = "taster.sandbox";

/// The labels that every object of the sandbox gets.
pub(crate) fn all() -> HashMap<String, String> {
    HashMap::from([(LABEL.to_owned(), "1".to_owned())])
}

/// The label with the folder of the sandbox that an object belongs to.
pub(crate) const HOME: &str = "taster.home";
