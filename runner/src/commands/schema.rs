//! `taster schema`.

use std::process;

use harness::model::{exit_code::ExitCode, settings::closest};

use crate::{error::CommandError, output, pure::reference::Document};

/// Prints the JSON Schema of a document; without a name, the names of the documents
#[derive(Debug, clap::Args)]
pub struct Schema {
    /// The document: results, host, recipe, events or context
    #[arg(value_name = "DOCUMENT")]
    document: Option<String>,
}

impl Schema {
    /// Runs the command.
    pub fn run(self) -> Result<process::ExitCode, CommandError> {
        let text = match &self.document {
            None => Document::ALL.map(|document| format!("{}\n", document.name())).concat(),
            Some(name) => Document::named(name).ok_or_else(|| unknown(name))?.schema_text(),
        };
        output::print(&text)?;
        Ok(ExitCode::Green.into())
    }
}

fn unknown(name: &str) -> CommandError {
    let names = Document::ALL.map(Document::name);
    let similar = closest(name, &names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    CommandError::usage(format!("there is no document `{name}`{similar}")).hint(format!("There are: {}.", names.join(", ")))
}
