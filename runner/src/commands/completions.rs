//! `taster completions`.

use std::process::ExitCode;

use crate::{
    cli,
    error::{CommandError, Exit},
    output,
};

/// Prints the completions for a shell
///
/// For bash: `taster completions bash > ~/.local/share/bash-completion/completions/taster`
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut cli::offered(), "taster", &mut text);
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(Exit::Green.into())
    }
}
