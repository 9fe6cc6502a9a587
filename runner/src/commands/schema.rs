//! `taster schema`.

use std::process::ExitCode;

use harness::model::settings::closest;

use crate::{
    error::{CommandError, Exit},
    output,
    pure::reference::Document,
};

/// Prints the JSON Schema of a document; without a name, the names of those that have one
#[derive(Debug, clap::Args)]
pub struct Schema {
    /// The document: results, host, recipe, events or context
    #[arg(value_name = "DOCUMENT")]
    document: Option<String>,
}

impl Schema {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let text = match &self.document {
            None => Document::ALL.map(|document| format!("{}\n", document.name())).concat(),
            Some(name) => Document::named(name).ok_or_else(|| unknown(name))?.schema_text(),
        };
        output::print(&text)?;
        Ok(Exit::Green.into())
    }
}

fn unknown(name: &str) -> CommandError {
    let names = Document::ALL.map(Document::name);
    let meant = closest(name, &names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    CommandError::usage(format!("there is no document `{name}`{meant}")).remedy(format!("there are: {}", names.join(", ")))
}
