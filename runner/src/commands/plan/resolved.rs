//! `taster plan --resolved`.

use clap::ValueEnum;
use harness::{
    model::{
        names::{Domain, StackName},
        pack::Pack,
    },
    pure::{
        recipe::compose::{self, Tree},
        run::facts::recipe,
    },
    redact::Redact,
};

use crate::{
    error::{CommandError, ErrorKind},
    recipe_reading::placeholder_run,
};

/// How the merged compose files are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One compose file, with the file and line of each value in a comment
    #[default]
    Yaml,
    /// The values below `config`, and below `from` the file and line of each by its JSON pointer
    Json,
}

/// The compose files of a new app, merged as Docker merges them, with the place that each value comes from.
pub(super) fn document(
    tree: &Tree,
    domain: &Domain,
    stack: &StackName,
    pack: &Pack,
    format: Format,
    redact: &Redact,
) -> Result<String, CommandError> {
    let unresolvable = |message: String| CommandError::new(ErrorKind::Recipe, redact.text(&message));
    let env =
        recipe::new_app_env(tree, domain, pack, &placeholder_run()?, false).map_err(|failure| unresolvable(failure.message))?;
    let merged = compose::config(tree, &env, stack).map_err(|error| unresolvable(error.to_string()))?;
    match format {
        Format::Yaml => Ok(redact.text(&merged.yaml())),
        Format::Json => {
            let mut value = merged.json_with_places();
            redact.value(&mut value);
            serde_json::to_string_pretty(&value).map(|text| text + "\n").map_err(CommandError::host)
        }
    }
}
