//! The `.env` of a running app, brought up to a new version of its recipe as an operator would do it.

use std::collections::BTreeSet;

use crate::pure::recipe::compose::Env;

/// What an operator has to do in the `.env`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// The keys to set, with their values.
    pub set: Vec<(String, String)>,
    /// What was done and what is left to the operator, a sentence each; none when the upgrade needs nothing of them.
    pub told: Vec<String>,
}

/// What brings the `.env` of an app of `base` up to `head`, given the `.env.sample` of each.
///
/// Keys that are new get the sample's default. A version of a secret that the app has as base's sample said it is raised to what head's
/// says, for then head wants a new secret. Other values are the operator's own and stay, and keys that head does not know any more
/// stay too; both are told.
pub fn migrate(env: &Env, base: &Env, head: &Env) -> Migration {
    let mut migration = Migration::default();
    for (key, wanted) in head.iter() {
        let before = base.get(key);
        match env.get(key) {
            None => {
                migration.set.push((key.to_owned(), wanted.to_owned()));
                migration.told.push(match before {
                    None => format!("{key} is new and was set to its default"),
                    Some(_) => format!("{key} was missing and was set to its default"),
                });
            }
            Some(now) if before.is_some_and(|before| before != wanted) && now != wanted => {
                if is_secret_version(key) && before == Some(now) {
                    migration.set.push((key.to_owned(), wanted.to_owned()));
                    migration.told.push(format!("{key} was raised from {now} to {wanted}, so the secret is a new one"));
                } else {
                    migration.told.push(format!("the default of {key} has changed; the app keeps its own value"));
                }
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<&str> = head.iter().map(|(key, _)| key).collect();
    let gone = base.iter().map(|(key, _)| key).filter(|key| !known.contains(key));
    migration.told.extend(gone.map(|key| format!("{key} is not used any more and was left")));
    migration
}

/// Whether a key holds the version of a secret (docs/reference/abra.md 3.3).
fn is_secret_version(key: &str) -> bool {
    key.starts_with("SECRET_") && key.ends_with("_VERSION")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_is_brought_up_as_an_operator_would() {
        for (env, base, head, set, told) in [
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
                "SECRET_X_VERSION=v1 # length=8",
                "SECRET_X_VERSION=v1",
                "SECRET_X_VERSION is new and was set to its default",
            ),
        ] {
            let read = |text: &str| Env::parse(text).unwrap();
            let migration = migrate(&read(env), &read(base), &read(head));
            let done: Vec<String> = migration.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!((done.join("\n").as_str(), migration.told.join("\n").as_str()), (set, told), "{env:?} {base:?} {head:?}");
        }
    }
}
