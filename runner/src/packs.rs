//! The packs that taster brings.

use harness::model::{names::RecipeName, pack::Pack};

use crate::error::CommandError;

/// The pack of a recipe; an empty one when there is none.
pub fn of(recipe: &RecipeName) -> Result<Pack, CommandError> {
    let linked = recipes::of(recipe.as_str());
    let pack = linked.map(|linked| linked.pack()).transpose();
    pack.map(Option::unwrap_or_default).map_err(|error| CommandError::usage(error.to_string()))
}
