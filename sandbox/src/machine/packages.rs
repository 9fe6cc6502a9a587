//! The package lists of apt.

use std::fs;

use super::programs::run;
use crate::{error::SandboxError, progress::ProgressReporter};

/// Fetches the lists where they are absent, as on a fresh image of a distribution.
pub(crate) async fn ensure_package_lists(progress: &mut ProgressReporter<'_>) -> Result<(), SandboxError> {
    let present = fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|dir| dir.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")));
    if !present {
        progress.report("fetching the package lists");
        run("apt-get", ["update", "-q"]).await?;
    }
    Ok(())
}
