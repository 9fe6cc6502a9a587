//! Migration of a running app's `.env` to a new version of its recipe, as an operator would do it.

use std::collections::BTreeSet;

use crate::pure::recipe::compose::{Env, Setting, is_secret_version};

/// The migration of an `.env`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// The variables to set. A secret's version has the comment of head's sample, which says how the secret is made.
    pub set: Vec<Setting>,
    /// The changes made and the tasks left to the operator, one sentence each; empty when the upgrade needs no action.
    pub notes: Vec<String>,
}

/// The migration of an app's `.env` from `base` to `head`, given both `.env.sample` files.
///
/// New keys get the sample's default. A secret's version that equals base's sample is raised to head's, because head needs a new
/// secret then. Other values belong to the operator and stay, as do keys that head no longer knows; both are reported.
pub fn migrate(env: &Env, base: &Env, head: &Env) -> Migration {
    let mut migration = Migration::default();
    for (key, wanted) in head.iter() {
        let before = base.get(key);
        let comment = is_secret_version(key).then(|| head.comment(key).unwrap_or_default().to_owned());
        let of_head = || Setting { comment, ..Setting::new(key, wanted) };
        match env.get(key) {
            None => {
                migration.set.push(of_head());
                migration.notes.push(match before {
                    None => format!("{key} is new and was set to its default"),
                    Some(_) => format!("{key} was missing and was set to its default"),
                });
            }
            Some(now) if before.is_some_and(|before| before != wanted) && now != wanted => {
                if is_secret_version(key) && before == Some(now) {
                    migration.set.push(of_head());
                    migration.notes.push(format!("{key} was raised from {now} to {wanted}, so the secret is a new one"));
                } else {
                    migration.notes.push(format!("the default of {key} has changed; the app keeps its own value"));
                }
            }
            // The secret may be one that only head uses.
            Some(now) if now == wanted && env.comment(key) == base.comment(key) && head.comment(key) != base.comment(key) => {
                migration.set.push(of_head());
                migration.notes.push(format!("the comment of {key} has changed and was taken over"));
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<&str> = head.iter().map(|(key, _)| key).collect();
    let gone = base.iter().map(|(key, _)| key).filter(|key| !known.contains(key));
    migration.notes.extend(gone.map(|key| format!("{key} is not used any more and was left")));
    migration
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::recipe::compose;

    #[test]
    fn env_is_migrated_as_an_operator_would() {
        for (env, base, head, set, notes) in [
            ("A=1", "A=1", "A=1", "", ""),
            ("A=mine", "A=1", "A=1", "", ""),
            ("A=1", "A=1", "A=1\nB=2", "B=2", "B is new and was set to its default"),
            ("", "A=1", "A=1", "A=1", "A was missing and was set to its default"),
            ("A=1", "A=1", "A=2", "", "the default of A has changed; the app keeps its own value"),
            ("A=2", "A=1", "A=2", "", ""),
            ("A=1\nB=2", "A=1\nB=2", "A=1", "", "B is not used any more and was left"),
            (
                "SECRET_X_VERSION=v1",
                "SECRET_X_VERSION=v1",
                "SECRET_X_VERSION=v2",
                "SECRET_X_VERSION=v2",
                "SECRET_X_VERSION was raised from v1 to v2, so the secret is a new one",
            ),
            (
                "SECRET_X_VERSION=v7",
                "SECRET_X_VERSION=v1",
                "SECRET_X_VERSION=v2",
                "",
                "the default of SECRET_X_VERSION has changed; the app keeps its own value",
            ),
            (
                "",
                "",
                "SECRET_X_VERSION=v1 # length=40 charset=hex",
                "SECRET_X_VERSION=v1 # length=40 charset=hex",
                "SECRET_X_VERSION is new and was set to its default",
            ),
            (
                "",
                "",
                "SECRET_X_VERSION=v1 # generate=false",
                "SECRET_X_VERSION=v1 # generate=false",
                "SECRET_X_VERSION is new and was set to its default",
            ),
            (
                "SECRET_X_VERSION=v1 # length=8",
                "SECRET_X_VERSION=v1 # length=8",
                "SECRET_X_VERSION=v2 # length=40",
                "SECRET_X_VERSION=v2 # length=40",
                "SECRET_X_VERSION was raised from v1 to v2, so the secret is a new one",
            ),
            (
                "SECRET_X_VERSION=v1",
                "SECRET_X_VERSION=v1",
                "SECRET_X_VERSION=v1 # generate=false",
                "SECRET_X_VERSION=v1 # generate=false",
                "the comment of SECRET_X_VERSION has changed and was taken over",
            ),
            ("SECRET_X_VERSION=v1 # length=9", "SECRET_X_VERSION=v1", "SECRET_X_VERSION=v1 # length=8", "", ""),
        ] {
            let read = |text: &str| Env::parse(text).unwrap();
            let migration = migrate(&read(env), &read(base), &read(head));
            let done = compose::edit("", &migration.set).unwrap();
            assert_eq!((done.trim_end(), migration.notes.join("\n").as_str()), (set, notes), "{env:?} {base:?} {head:?}");
        }
    }
}
