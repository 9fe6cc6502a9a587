//! Backup labels of an app, and parsers of abra's output about snapshots.
//!
//! Labels follow version 2 of the backupbot specification (docs/reference/abra.md 7.1). The bot ignores the path label of version
//! 1, and so does this module.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pure::recipe::compose::Resolved;

/// The part of a volume that is in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "in_backup", rename_all = "kebab-case")]
pub enum Coverage {
    /// The whole volume.
    Whole,
    /// Some paths.
    Paths {
        /// The paths, relative to the volume's root.
        paths: Vec<String>,
    },
    /// Nothing.
    Excluded,
}

/// The backup labels of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backed {
    enabled: bool,
    volumes: BTreeMap<String, Coverage>,
    /// The services of which a hook runs before the copy.
    dumped: BTreeSet<String>,
    /// Whether a hook runs before or after a restore.
    pub restore_hooks: bool,
}

impl Backed {
    /// Reads the labels of all services.
    pub fn of(resolved: &Resolved) -> Self {
        let mut backed = Self::default();
        let labels = resolved.services.iter().flat_map(|(name, service)| service.labels.iter().map(move |label| (name, label)));
        for (name, (key, value)) in labels {
            let Some(key) = key.strip_prefix("backupbot.") else { continue };
            match key.strip_prefix("backup.volumes.") {
                Some(rest) => match rest.strip_suffix(".path") {
                    Some(volume) => {
                        let paths = value.split(',').map(|path| path.trim().trim_matches('/').to_owned());
                        let paths = paths.filter(|path| !path.is_empty()).collect();
                        backed.volumes.entry(volume.to_owned()).or_insert(Coverage::Paths { paths });
                    }
                    None if is_false(value) => {
                        backed.volumes.insert(rest.to_owned(), Coverage::Excluded);
                    }
                    None => {}
                },
                None if key == "backup" => backed.enabled |= is_true(value),
                None if key == "backup.pre-hook" && !value.trim().is_empty() => {
                    backed.dumped.insert(name.clone());
                }
                None => backed.restore_hooks |= matches!(key, "restore.pre-hook" | "restore.post-hook"),
            }
        }
        backed
    }

    /// Whether the app has backups enabled.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Whether a hook of the service runs before the copy, which may dump its data.
    pub fn is_dumped(&self, service: &str) -> bool {
        self.dumped.contains(service)
    }

    /// The part of a volume that is in the backup, by the volume's name in the compose files.
    pub fn coverage(&self, volume: &str) -> Coverage {
        self.volumes.get(volume).cloned().unwrap_or(Coverage::Whole)
    }
}

fn is_true(value: &str) -> bool {
    ["true", "1", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
}

fn is_false(value: &str) -> bool {
    ["false", "0", "no", "off"].contains(&value.trim().to_ascii_lowercase().as_str())
}

/// The minimum length of a snapshot id.
const SHORTEST_ID: usize = 8;

/// The id behind the last `snapshot_id` in the output of `abra app backup create`, which is restic's JSON or plain text.
pub fn snapshot_id(text: &str) -> Option<String> {
    let (_, behind) = text.rsplit_once("snapshot_id")?;
    let id = behind.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '\n');
    let id: String = id.chars().take_while(char::is_ascii_hexdigit).collect();
    (id.len() >= SHORTEST_ID).then_some(id)
}

/// The ids in the output of `abra app backup snapshots`, in its order: the last word of each line that ends with an id.
pub fn snapshot_ids(text: &str) -> Vec<String> {
    let id = |line: &str| {
        // The borders of a table are not words.
        let mut words = line.split_whitespace().rev().map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
        let word = words.find(|word| !word.is_empty())?;
        (word.len() >= SHORTEST_ID && word.chars().all(|c| c.is_ascii_hexdigit())).then(|| word.to_owned())
    };
    text.lines().filter_map(id).collect()
}

/// Whether two ids name the same snapshot: restic shortens ids to eight digits.
pub fn same_snapshot(one: &str, other: &str) -> bool {
    one.len().min(other.len()) >= SHORTEST_ID && (one.starts_with(other) || other.starts_with(one))
}

/// The entry for `path` of the node's volume `name` in a snapshot's file list; absent when the snapshot lacks it.
pub fn listed(text: &str, name: &str, path: &str) -> Option<String> {
    let end = format!("/{name}/_data/{path}");
    text.lines().find_map(|line| {
        let at = line.find(&end)? + end.len();
        (line[at..].is_empty() || line[at..].starts_with('/')).then(|| line[..at].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_id_is_found_in_json_and_text() {
        for (text, id) in [
            ("{\"message_type\":\"summary\",\"snapshot_id\":\"0a1b2c3d\"}\n", Some("0a1b2c3d")),
            ("INFO backup finished, snapshot_id 0a1b2c3d4e5f\n", Some("0a1b2c3d4e5f")),
            ("\"snapshot_id\": \"11111111\"}\n\"snapshot_id\": \"22222222\"}", Some("22222222")),
            ("snapshot_id\n0a1b2c3d", None),
            ("snapshot_id 0a1b", None),
            ("backup finished", None),
        ] {
            assert_eq!(snapshot_id(text).as_deref(), id, "{text:?}");
        }
    }

    #[test]
    fn snapshot_ids_keep_their_order() {
        let text = "WARN something\n2026-11-21T10:00:00 0a1b2c3d\n2026-11-21T11:00:00 │ 4d5e6f70 │\n\nend\n";
        assert_eq!(snapshot_ids(text), ["0a1b2c3d", "4d5e6f70"]);
        for (one, other, same) in
            [("0a1b2c3d", "0a1b2c3d4e5f", true), ("0a1b2c3d", "0a1b2c3e", false), ("0a1b", "0a1b2c3d", false)]
        {
            assert_eq!(same_snapshot(one, other), same);
        }
    }

    #[test]
    fn snapshot_file_matches_its_own_volume_only() {
        let text = "/var/lib/docker/volumes/a_posts/_data\n/var/lib/docker/volumes/a_posts/_data/dump/one.sql\n";
        for (name, path, there) in [
            ("a_posts", "dump/one.sql", true),
            ("a_posts", "dump", true),
            ("a_posts", "one.sql", false),
            ("posts", "dump", false),
        ] {
            assert_eq!(listed(text, name, path).is_some(), there, "{name} {path}");
        }
    }
}
