//! Apps that earlier runs keep.
//!
//! A run on a kept app holds the lock of the run that keeps it, so that no janitor removes the app meanwhile and no other run
//! uses it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::facts::attached::KeptAppFacts,
    journal::{self, JournalReading, LockError, RunLock},
    model::{
        names::{Domain, RecipeName},
        protocol::MEMORY,
        request::{Attach, Source},
    },
    ports::{Clock, RunFolder},
    pure::run::kept_app::{Keeping, keeping},
};

use crate::{error::CommandError, history};

/// The longest wait for the lock: a reader of the folder holds it for a moment, another run on the app for longer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// What `--attach` takes.
const ATTACH_HINT: &str = "Keep an app with `taster --recipe NAME --keep`, which prints its domain.";

/// A kept app whose lock is held for as long as this value lives.
#[derive(Debug)]
pub(crate) struct HeldApp {
    /// The app and the run that keeps it.
    pub(crate) attach: Attach,
    /// The app as the journal of that run has it.
    pub(crate) attached: KeptAppFacts,
    /// The folder whose `tests/` has the executables of the recipe's repository.
    pub(crate) repository: PathBuf,
    /// The folder of that run.
    pub(crate) folder: Folder,
    /// The file in which functions of the pack remember values of the app.
    pub(crate) memory: PathBuf,
    _lock: RunLock,
}

/// Takes the lock of the app `domain` of `recipe`, which a run must keep. `path` is the recipe's folder, where the request names
/// one.
pub(crate) fn hold(runs: &Path, recipe: &RecipeName, domain: &Domain, path: Option<&Path>) -> Result<HeldApp, CommandError> {
    let refused = |message: String| CommandError::usage(message).hint(ATTACH_HINT);
    let kept = history::newest_first(runs)?.into_iter().find(|kept| domain.as_str().contains(kept.run.token()));
    let Some(kept) = kept else {
        return Err(refused(format!("{domain} is not an app of a run of taster")));
    };
    let lock = RunLock::within(&kept.folder, LOCK_TIMEOUT).map_err(|error| match error {
        LockError::Held { .. } | LockError::Replaced { .. } => refused(format!("{domain} is in use by another run")),
        LockError::NoFile { .. } | LockError::System { .. } => CommandError::host(error),
    })?;
    let reading = journal::read(&kept.folder)
        .map_err(|error| CommandError::host(error).context(format!("cannot read the journal of run {}", kept.run)))?;
    let attached = attached(&reading, domain)?;
    if attached.head.recipe != *recipe {
        return Err(refused(format!("{domain} is an app of {}, not of {recipe}", attached.head.recipe)));
    }
    let folder = Folder::of(runs, &kept.run);
    let repository = match (path, &attached.source) {
        (Some(path), _) => path.to_owned(),
        // The author of the tests may have changed them in the folder since.
        (None, Source::Folder { path }) if path.is_dir() => path.clone(),
        (None, Source::Folder { .. } | Source::Catalogue { .. }) => folder.executables(),
    };
    let memory = folder.abra_dir().join("pack").join(MEMORY);
    let attach = Attach { domain: domain.clone(), run: kept.run };
    Ok(HeldApp { attach, attached, repository, folder, memory, _lock: lock })
}

/// The app as a journal has it, when its run keeps it now.
fn attached(reading: &JournalReading, domain: &Domain) -> Result<KeptAppFacts, CommandError> {
    let refused = |message: String| CommandError::usage(message).hint(ATTACH_HINT);
    match keeping(&reading.events, &reading.claims, SystemClock::start().wall()) {
        Keeping::Valid(kept) if kept.domain == *domain => {
            KeptAppFacts::of(reading).ok_or_else(|| refused(format!("the journal does not say what was deployed as {domain}")))
        }
        Keeping::Over(kept) if kept.domain == *domain => {
            Err(refused(format!("{domain} was kept until {}, and the next run removes it", kept.until)))
        }
        Keeping::Valid(_) | Keeping::Over(_) | Keeping::Nothing => Err(refused(format!("{domain} is not kept by its run"))),
    }
}
