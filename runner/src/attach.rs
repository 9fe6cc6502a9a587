//! Apps that earlier runs keep, and holding on to one of them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::facts::attached::Attached,
    journal::{self, LockError, Reading, RunLock},
    model::{
        names::{Domain, RecipeName},
        protocol::MEMORY,
        request::{Attach, Source},
    },
    ports::Clock,
    pure::run::kept_app::{Keeping, keeping},
};

use crate::{error::CommandError, history};

/// How long somebody may look into the folder of a kept run before that is taken for another run on its app.
const PATIENCE: Duration = Duration::from_secs(1);
/// What `--attach` takes.
const KEPT: &str = "`taster --recipe NAME --keep` keeps an app and says its domain";

/// A kept app that is held: while this lives, nobody sweeps it and nobody else runs tests on it.
#[derive(Debug)]
pub(crate) struct Held {
    /// The app and the run that keeps it.
    pub(crate) attach: Attach,
    /// What its journal says of it.
    pub(crate) attached: Attached,
    /// The folder whose `tests/` has the executables of the recipe's repository.
    pub(crate) repository: PathBuf,
    /// The folder of that run.
    pub(crate) folder: Folder,
    /// What functions of the pack remembered of the app.
    pub(crate) memory: PathBuf,
    _lock: RunLock,
}

/// Holds the app `domain` of `recipe`, if a run keeps it. `path` is the recipe's folder, where one was named.
pub(crate) fn hold(runs: &Path, recipe: &RecipeName, domain: &Domain, path: Option<&Path>) -> Result<Held, CommandError> {
    let refused = |sentence: String| CommandError::usage(sentence).remedy(KEPT);
    let kept = history::newest_first(runs)?.into_iter().find(|kept| domain.as_str().contains(kept.run.token()));
    let Some(kept) = kept else {
        return Err(refused(format!("{domain} is no app of a run of taster")));
    };
    let lock = RunLock::within(&kept.folder, PATIENCE).map_err(|error| match error {
        LockError::Held { .. } | LockError::Replaced { .. } => refused(format!("{domain} is in use by another run")),
        LockError::NoFile { .. } | LockError::System { .. } => CommandError::host(error.to_string()),
    })?;
    let reading = journal::read(&kept.folder)
        .map_err(|error| CommandError::host(format!("the journal of run {} cannot be read: {error}", kept.run)))?;
    let attached = attached(&reading, domain).map_err(refused)?;
    if attached.head.recipe != *recipe {
        return Err(refused(format!("{domain} is an app of {}, not of {recipe}", attached.head.recipe)));
    }
    let folder = Folder::of(runs, &kept.run);
    let repository = match (path, &attached.source) {
        (Some(path), _) => path.to_owned(),
        // Changes that are made in the folder meanwhile are what somebody wants to try.
        (None, Source::Folder { path }) if path.is_dir() => path.clone(),
        (None, Source::Folder { .. } | Source::Catalogue { .. }) => folder.executables(),
    };
    let memory = folder.abra_dir().join("pack").join(MEMORY);
    let attach = Attach { domain: domain.clone(), run: kept.run };
    Ok(Held { attach, attached, repository, folder, memory, _lock: lock })
}

/// What a journal says of the app, when its run keeps it now.
fn attached(reading: &Reading, domain: &Domain) -> Result<Attached, String> {
    match keeping(reading, SystemClock::start().wall()) {
        Keeping::Valid(kept) if kept.domain == *domain => {
            Attached::of(reading).ok_or_else(|| format!("the journal does not say what was deployed as {domain}"))
        }
        Keeping::Over(kept) if kept.domain == *domain => {
            Err(format!("{domain} was kept until {}, and is swept before the next run", kept.until))
        }
        Keeping::Valid(_) | Keeping::Over(_) | Keeping::Nothing => Err(format!("{domain} is not kept by its run")),
    }
}
