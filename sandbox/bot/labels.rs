//! The labels of the backupbot specification, version 2: what of a stack is backed up, and which commands run beside it.
//! All of it decides over facts; nothing here reaches outside.

use std::collections::BTreeMap;

/// A service of the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its full name, `<stack>_<service>`.
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The full names of the volumes that it mounts.
    pub(crate) volumes: Vec<String>,
}

/// How much of a volume is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Only these paths, relative to the volume's root.
    Paths(Vec<String>),
    Excluded,
}

/// A volume of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// The name that labels and `VOLUMES` know it by.
    pub(crate) name: String,
    /// The engine's name for it.
    pub(crate) full: String,
    pub(crate) extent: Extent,
}

/// What a hook stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Backup,
    Restore,
}

/// On which side of it the hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Pre,
    Post,
}

/// A command for a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// The full name of the service that bears it.
    pub(crate) service: String,
    pub(crate) command: String,
}

/// Whether any service of the stack asks for a backup.
pub(crate) fn enabled(services: &[Service]) -> bool {
    let truthy = |value: &String| ["true", "1", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str());
    services.iter().any(|service| service.labels.get("backupbot.backup").is_some_and(truthy))
}

/// The volumes of the stack, by name, and the labels that name a volume which is not there.
pub(crate) fn volumes(stack: &str, services: &[Service]) -> (Vec<Volume>, Vec<String>) {
    let short = |full: &str| full.strip_prefix(&format!("{stack}_")).unwrap_or(full).to_owned();
    let mut volumes: BTreeMap<String, Volume> = BTreeMap::new();
    for full in services.iter().flat_map(|service| &service.volumes) {
        let name = short(full);
        volumes.entry(name.clone()).or_insert(Volume { name, full: full.clone(), extent: Extent::Whole });
    }
    let mut unknown = Vec::new();
    for (label, value) in services.iter().flat_map(|service| &service.labels) {
        let Some(rest) = label.strip_prefix("backupbot.backup.volumes.") else { continue };
        let (name, extent) = match rest.strip_suffix(".path") {
            Some(name) => (name, Extent::Paths(paths(value))),
            None if value.trim().eq_ignore_ascii_case("false") => (rest, Extent::Excluded),
            None => continue,
        };
        match volumes.get_mut(name) {
            // A volume that is left out stays out, whichever label is read first.
            Some(volume) if volume.extent == Extent::Excluded => {}
            Some(volume) => volume.extent = extent,
            None => unknown.push(label.clone()),
        }
    }
    (volumes.into_values().collect(), unknown)
}

fn paths(value: &str) -> Vec<String> {
    value.split(',').map(|path| path.trim().trim_matches('/').to_owned()).filter(|path| !path.is_empty()).collect()
}

/// Whether a path of a label stays in its volume.
pub(crate) fn inside(path: &str) -> bool {
    path.split('/').all(|part| part != "..")
}

/// The hooks of the services, in the services' order. None is promised by the specification.
pub(crate) fn hooks(services: &[Service], operation: Operation, side: Side) -> Vec<Hook> {
    let operation = match operation {
        Operation::Backup => "backup",
        Operation::Restore => "restore",
    };
    let side = match side {
        Side::Pre => "pre",
        Side::Post => "post",
    };
    let label = format!("backupbot.{operation}.{side}-hook");
    let hook = |service: &Service| {
        let command = service.labels.get(&label)?.trim();
        (!command.is_empty()).then(|| Hook { service: service.name.clone(), command: command.to_owned() })
    };
    services.iter().filter_map(hook).collect()
}

/// What a snapshot with the paths `kept` holds of `wanted`: of two paths one in the other, the inner one.
pub(crate) fn held(kept: &[String], wanted: &str) -> Vec<String> {
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    if kept.iter().any(|kept| within(wanted, kept)) {
        return vec![wanted.to_owned()];
    }
    kept.iter().filter(|kept| within(kept, wanted)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, labels: &[(&str, &str)], volumes: &[&str]) -> Service {
        Service {
            name: format!("blog_{name}"),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            volumes: volumes.iter().map(|volume| (*volume).to_owned()).collect(),
        }
    }

    #[test]
    fn one_service_that_asks_is_enough() {
        let asks = |value: &str| enabled(&[service("app", &[], &[]), service("db", &[("backupbot.backup", value)], &[])]);
        for (value, wanted) in [("true", true), ("True", true), ("1", true), ("false", false), ("", false), ("${NO}", false)] {
            assert_eq!(asks(value), wanted, "{value}");
        }
        // The path label of version 1 asks for nothing.
        assert!(!enabled(&[service("app", &[("backupbot.backup.path", "/data")], &[])]));
    }

    #[test]
    fn all_volumes_are_in_but_for_what_labels_say() {
        let labels = [
            ("backupbot.backup.path", "/data"),
            ("backupbot.backup.volumes.cache", "false"),
            ("backupbot.backup.volumes.cache.path", "some"),
            ("backupbot.backup.volumes.db.path", "dump.sql, wal/"),
            ("backupbot.backup.volumes.kept", "true"),
            ("backupbot.backup.volumes.typo", "false"),
        ];
        let services = [
            service("app", &labels, &["blog_data", "blog_cache", "elsewhere"]),
            service("db", &[], &["blog_db", "blog_data", "blog_kept"]),
        ];
        let (volumes, unknown) = volumes("blog", &services);
        let seen: Vec<(&str, &str, &Extent)> =
            volumes.iter().map(|volume| (volume.name.as_str(), volume.full.as_str(), &volume.extent)).collect();
        let paths = Extent::Paths(vec!["dump.sql".into(), "wal".into()]);
        assert_eq!(
            seen,
            [
                ("cache", "blog_cache", &Extent::Excluded),
                ("data", "blog_data", &Extent::Whole),
                ("db", "blog_db", &paths),
                ("elsewhere", "elsewhere", &Extent::Whole),
                ("kept", "blog_kept", &Extent::Whole),
            ]
        );
        assert_eq!(unknown, ["backupbot.backup.volumes.typo"]);
    }

    #[test]
    fn hooks_belong_to_the_service_that_bears_them() {
        let app = service("app", &[("backupbot.backup.pre-hook", "dump"), ("backupbot.restore.post-hook", "load")], &[]);
        let db = service("db", &[("backupbot.backup.pre-hook", " lock "), ("backupbot.backup.post-hook", "")], &[]);
        let services = [app, db];
        let commands = |operation, side| -> Vec<(String, String)> {
            hooks(&services, operation, side).into_iter().map(|hook| (hook.service, hook.command)).collect()
        };
        let pair = |service: &str, command: &str| (service.to_owned(), command.to_owned());
        assert_eq!(commands(Operation::Backup, Side::Pre), [pair("blog_app", "dump"), pair("blog_db", "lock")]);
        assert_eq!(commands(Operation::Backup, Side::Post), []);
        assert_eq!(commands(Operation::Restore, Side::Pre), []);
        assert_eq!(commands(Operation::Restore, Side::Post), [pair("blog_app", "load")]);
    }

    #[test]
    fn a_snapshot_gives_what_it_holds_of_what_is_wanted() {
        let kept = ["/v/a/_data".to_owned(), "/v/b/_data/dump".to_owned(), "/v/b/_data/wal".to_owned()];
        for (wanted, holds) in [
            ("/v/a/_data", vec!["/v/a/_data"]),
            ("/v/a/_data/x", vec!["/v/a/_data/x"]),
            ("/v/b/_data", vec!["/v/b/_data/dump", "/v/b/_data/wal"]),
            ("/v/b/_data/dump", vec!["/v/b/_data/dump"]),
            ("/v/b/_data/other", vec![]),
            ("/v/c/_data", vec![]),
        ] {
            assert_eq!(held(&kept, wanted), holds, "{wanted}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_outside() {
        assert!(inside("a/b.sql") && inside("..a") && !inside("../x") && !inside("a/../../x"));
    }
}
