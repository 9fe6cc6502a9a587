//! Recovers the secrets of a dead run from the files that cleanup is about to remove.
//!
//! A live run learns secrets when they are made or read, and filters every text. The reports that are written after its death
//! need the same filter, because a text may have been recorded before its secret was learnt.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{
    disk::plain_file::{self, Links, SETTINGS_LIMIT},
    model::protocol::SECRET_FILE_PREFIX,
    pure::host::claim::{Claim, Claimed},
    redact::Redact,
};

/// The prefix of the files in the run's `ABRA_DIR` that pass a secret to abra.
const ABRA_INPUT_PREFIX: &str = ".tmp";

/// A filter of the secrets in the files under these claims: the app's `.env` without what the samples publish, and the files in
/// which the pack and the run keep secrets. It may be incomplete, because abra prints most secrets only once.
pub(crate) fn secrets(claims: &[Claim]) -> Arc<Redact> {
    let redact = Redact::new();
    redact.doubt("the run was killed, and the secrets that it had learnt are lost");
    let folders = claims.iter().filter_map(|claim| match claim.what() {
        Claimed::Dir { path } => Some(path.join("recipes")),
        Claimed::Stack { .. } | Claimed::EnvFile { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => None,
    });
    let samples = folders.flat_map(|recipes| entries(&recipes)).map(|recipe| recipe.join(".env.sample"));
    samples.filter_map(|sample| text(&sample)).for_each(|text| redact.publish_sample(&text));
    for claim in claims {
        match claim.what() {
            Claimed::EnvFile { path } => text(path).iter().for_each(|text| redact.learn_env(text)),
            Claimed::Dir { path } => {
                let work_files = entries(path).into_iter().flat_map(|work_dir| files_with_prefix(&work_dir, SECRET_FILE_PREFIX));
                for secret in work_files.chain(files_with_prefix(path, ABRA_INPUT_PREFIX)).filter_map(|file| text(&file)) {
                    redact.learn(&secret);
                }
            }
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => {}
        }
    }
    Arc::new(redact)
}

/// The entries of a folder. A link to a folder has none here, because it leads to what is not the run's.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let plain = fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir());
    let entries = plain.then(|| fs::read_dir(folder).ok()).flatten().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn files_with_prefix(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    entries(folder).into_iter().filter(named).collect()
}

/// The text of a plain file. A pipe would never end, and a link leads elsewhere.
fn text(path: &Path) -> Option<String> {
    let bytes = plain_file::read(path, SETTINGS_LIMIT, Links::Refused).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
