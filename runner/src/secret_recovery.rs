//! What can be known again of a dead run's secrets, from the files that the sweep is about to remove.
//!
//! A run learns secrets as they come by, and filters all that it tells. Whoever tells of it after its death has to know them as well,
//! because a text may have been recorded before its secret was learnt.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use harness::{
    model::protocol::HIDDEN,
    pure::host::claim::{Claim, Claimed},
    redact::Redact,
};

/// The longest file that is read.
const LONGEST: u64 = 1 << 20;
/// What the names of files begin with by which abra is told of a secret, in the run's `ABRA_DIR`.
const DRAFT: &str = ".tmp";

/// A filter for what the files under these claims tell of secrets: the app's `.env`, the samples that it is made of, and what a pack
/// and the run itself left in files of their own. It is not known to be complete, for abra tells most secrets only once.
pub(crate) fn secrets(claims: &[Claim]) -> Arc<Redact> {
    let redact = Redact::new();
    redact.doubt("the run was killed, and what it had learnt of secrets died with it");
    for claim in claims {
        match claim.what() {
            Claimed::EnvFile { path } => text(path).iter().for_each(|text| redact.learn_env(text)),
            Claimed::Dir { path } => {
                let samples = entries(&path.join("recipes")).into_iter().map(|recipe| recipe.join(".env.sample"));
                samples.filter_map(|sample| text(&sample)).for_each(|text| redact.learn_env(&text));
                let rooms = entries(path).into_iter().flat_map(|room| begins(&room, HIDDEN));
                for secret in rooms.chain(begins(path, DRAFT)).filter_map(|file| text(&file)) {
                    redact.learn(&secret);
                }
            }
            Claimed::Stack { .. } | Claimed::Marker { .. } | Claimed::Snapshots { .. } => {}
        }
    }
    Arc::new(redact)
}

/// What lies in a folder. A link to one is none: it leads to what is not the run's.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let plain = fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir());
    let entries = plain.then(|| fs::read_dir(folder).ok()).flatten().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn begins(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    entries(folder).into_iter().filter(named).collect()
}

/// The text of a plain file; a pipe would never end, and a link leads elsewhere.
fn text(path: &Path) -> Option<String> {
    fs::symlink_metadata(path).ok().filter(|meta| meta.is_file())?;
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
