//! `taster completions`.

use std::process;

use harness::model::exit_code::ExitCode;

use crate::{error::CommandError, output};

/// Prints the completions for a shell
///
/// For bash: `taster completions bash > ~/.local/share/bash-completion/completions/taster`
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Runs the command; `offered` is what the completions offer.
    pub fn run(self, offered: &mut clap::Command) -> Result<process::ExitCode, CommandError> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, offered, "taster", &mut text);
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(ExitCode::Green.into())
    }
}
