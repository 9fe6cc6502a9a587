//! taster's state folder, which is its user's alone: cleanup acts upon what it reads there, and runs keep secrets there.

use std::path::Path;

use harness::disk::private_folder::{self, NotPrivate, Owner};

use crate::{env::Env, error::CommandError};

/// Checks the state folder, as far as it exists. Others can no longer enter it then.
pub(crate) fn check(env: &Env) -> Result<(), CommandError> {
    private_folder::close(&env.state, &Owner::current()).map_err(|error| refused(&env.state, error))
}

/// Makes the folder of all runs, and the state folder around it. From now on this process and its children make files that others
/// cannot read.
pub(crate) fn make(env: &Env) -> Result<(), CommandError> {
    let owner = Owner::current();
    for folder in [env.state.clone(), env.runs()] {
        private_folder::make(&folder, &owner).map_err(|error| refused(&folder, error))?;
    }
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    Ok(())
}

/// Checks a folder of runs that the command line names.
pub(crate) fn check_named(runs: &Path) -> Result<(), CommandError> {
    private_folder::check(runs, &Owner::current()).map_err(|error| refused(runs, error))
}

fn refused(folder: &Path, error: NotPrivate) -> CommandError {
    let what = format!("the state folder {} cannot be used", folder.to_string_lossy().escape_debug());
    let hint = match &error {
        NotPrivate::OtherOwner { .. } => "Set XDG_STATE_HOME to a folder that belongs to you, below folders of root or of you.",
        NotPrivate::OthersWrite { .. } => {
            "Others could put files there that taster acts upon. Take their permission with `chmod go-w`, or set XDG_STATE_HOME to \
             a folder that only you can write to."
        }
        NotPrivate::BadCharacter { .. } => "Set XDG_STATE_HOME to a path without this character.",
        NotPrivate::System { .. } => "Set XDG_STATE_HOME to a folder that you can write to.",
    };
    match error {
        NotPrivate::System { .. } => CommandError::host(error).context(what).hint(hint),
        error => CommandError::usage(format!("{what}: {error}")).hint(hint),
    }
}
