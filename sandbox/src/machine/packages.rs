//! The package lists of apt.

use std::fs;

use super::programs::run;
use crate::{error::SandboxError, progress::Teller};

/// Fetches apt's lists where there are none, as on a fresh image of a distribution.
pub(crate) async fn update_lists(teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    let there = fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|dir| dir.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")));
    if !there {
        teller.say("fetching the package lists");
        run("apt-get", ["update", "-q"]).await?;
    }
    Ok(())
}
