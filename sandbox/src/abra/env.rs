//! The `.env` of an app: its recipe, and the line that abra rewrites. `formats::dotenv` reads it.

use std::collections::BTreeMap;

use formats::{
    dotenv::{Env, Setting, edit},
    interpolation::{Flaw, fill},
};

use super::error::{CommandResult, Fatal};

/// The variables of an `.env` or of an `.env.sample`.
pub(super) fn parse(text: &str, file: &str) -> CommandResult<Env> {
    Env::parse(text).map_err(|error| Fatal::new(format!("unable to read {file}: {error}")))
}

/// The recipe and its version, from `TYPE` or its alias `RECIPE`.
pub(super) fn recipe(env: &Env) -> Option<(String, Option<String>)> {
    let value = env.get("TYPE").or_else(|| env.get("RECIPE"))?;
    Some(match value.split_once(':') {
        Some((recipe, version)) => (recipe.to_owned(), Some(version.to_owned())),
        None => (value.to_owned(), None),
    })
}

/// The text of an `.env` with its `TYPE` replaced by `recipe:version`.
pub(super) fn replace_type(text: &str, recipe: &str, version: &str) -> CommandResult<String> {
    let alias = Env::parse(text).is_ok_and(|env| env.get("TYPE").is_none() && env.get("RECIPE").is_some());
    let key = if alias { "RECIPE" } else { "TYPE" };
    let setting = Setting::new(key, format!("{recipe}:{version}"));
    edit(text, &[setting]).map_err(|error| Fatal::new(format!("unable to write {key}: {error}")))
}

/// A text of a compose file with its variables filled in, as Docker does it.
pub(super) fn filled(text: &str, variables: &BTreeMap<String, String>) -> CommandResult<String> {
    fill(text, |name| variables.get(name).map(String::as_str)).map_err(|flaw| match flaw {
        Flaw::Invalid => Fatal::new(format!("invalid interpolation format: {text:?}")),
        Flaw::Missing { variable, message } => Fatal::new(format!("required variable {variable} is missing a value: {message}")),
    })
}

/// Like [`filled`]; a text that Docker refuses is kept as it is.
pub(super) fn filled_or_kept(text: &str, variables: &BTreeMap<String, String>) -> String {
    filled(text, variables).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipe_and_version_are_those_of_type_or_its_alias() {
        for (text, expected) in [
            ("TYPE=ghost:1.2.3+4\n", Some(("ghost", Some("1.2.3+4")))),
            ("RECIPE=ghost\n", Some(("ghost", None))),
            ("A='\nTYPE=ghost\n'\n", None),
        ] {
            let found = recipe(&Env::parse(text).unwrap());
            assert_eq!(found, expected.map(|(name, version)| (name.to_owned(), version.map(str::to_owned))), "{text:?}");
        }
    }

    #[test]
    fn replace_type_changes_only_the_type_line() {
        for (text, expected) in [
            ("TYPE=a\nX=1\n", "TYPE=a:1.0.0+2\nX=1\n"),
            ("X='\nTYPE=b\n'\nexport TYPE: a # why\n", "X='\nTYPE=b\n'\nTYPE=a:1.0.0+2 # why\n"),
            ("RECIPE=a\n", "RECIPE=a:1.0.0+2\n"),
            ("X=1", "X=1\nTYPE=a:1.0.0+2\n"),
        ] {
            assert_eq!(replace_type(text, "a", "1.0.0+2").unwrap(), expected, "{text:?}");
        }
    }
}
