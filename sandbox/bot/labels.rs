//! The labels of the backupbot specification, version 2: the paths of a stack to back up, and its hooks. Pure.

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

/// The part of a volume to back up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Whole,
    /// Only these paths, relative to the volume's root.
    Paths(Vec<String>),
    Excluded,
}

/// A volume of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// The name in labels and in `VOLUMES`.
    pub(crate) name: String,
    /// The name in the engine.
    pub(crate) full: String,
    pub(crate) scope: Scope,
}

/// The operation that a hook belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Backup,
    Restore,
}

/// Whether a hook runs before or after the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Pre,
    Post,
}

/// A command for a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// The full name of the service with the label.
    pub(crate) service: String,
    pub(crate) command: String,
}

/// Whether any service of the stack asks for a backup.
pub(crate) fn enabled(services: &[Service]) -> bool {
    let truthy = |value: &String| ["true", "1", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str());
    services.iter().any(|service| service.labels.get("backupbot.backup").is_some_and(truthy))
}

/// The volumes of the stack by name, and the labels that name an unknown volume.
pub(crate) fn volumes(stack: &str, services: &[Service]) -> (Vec<Volume>, Vec<String>) {
    let short = |full: &str| full.strip_prefix(&format!("{stack}_")).unwrap_or(full).to_owned();
    let mut volumes: BTreeMap<String, Volume> = BTreeMap::new();
    for full in services.iter().flat_map(|service| &service.volumes) {
        let name = short(full);
        volumes.entry(name.clone()).or_insert(Volume { name, full: full.clone(), scope: Scope::Whole });
    }
    let mut unknown = Vec::new();
    for (label, value) in services.iter().flat_map(|service| &service.labels) {
        let Some(rest) = label.strip_prefix("backupbot.backup.volumes.") else { continue };
        let (name, scope) = match rest.strip_suffix(".path") {
            Some(name) => (name, Scope::Paths(paths(value))),
            None if value.trim().eq_ignore_ascii_case("false") => (rest, Scope::Excluded),
            None => continue,
        };
        match volumes.get_mut(name) {
            // Exclusion wins, in whichever order the labels are read.
            Some(volume) if volume.scope == Scope::Excluded => {}
            Some(volume) => volume.scope = scope,
            None => unknown.push(label.clone()),
        }
    }
    (volumes.into_values().collect(), unknown)
}

fn paths(value: &str) -> Vec<String> {
    value.split(',').map(|path| path.trim().trim_matches('/').to_owned()).filter(|path| !path.is_empty()).collect()
}

/// Whether a path of a label stays inside its volume.
pub(crate) fn is_inside(path: &str) -> bool {
    path.split('/').all(|part| part != "..")
}

/// The hooks of the services, in the order of the services. The specification promises no order.
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

/// The paths to restore for `wanted`, from a snapshot with the paths `kept`: where one path contains the other, the inner one.
pub(crate) fn snapshot_paths(kept: &[String], wanted: &str) -> Vec<String> {
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
    fn one_service_with_the_label_enables_the_backup() {
        let asks = |value: &str| enabled(&[service("app", &[], &[]), service("db", &[("backupbot.backup", value)], &[])]);
        for (value, wanted) in [("true", true), ("True", true), ("1", true), ("false", false), ("", false), ("${NO}", false)] {
            assert_eq!(asks(value), wanted, "{value}");
        }
        // The path label of version 1 has no effect.
        assert!(!enabled(&[service("app", &[("backupbot.backup.path", "/data")], &[])]));
    }

    #[test]
    fn volumes_are_included_unless_labels_restrict_them() {
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
        let found: Vec<(&str, &str, &Scope)> =
            volumes.iter().map(|volume| (volume.name.as_str(), volume.full.as_str(), &volume.scope)).collect();
        let paths = Scope::Paths(vec!["dump.sql".into(), "wal".into()]);
        assert_eq!(
            found,
            [
                ("cache", "blog_cache", &Scope::Excluded),
                ("data", "blog_data", &Scope::Whole),
                ("db", "blog_db", &paths),
                ("elsewhere", "elsewhere", &Scope::Whole),
                ("kept", "blog_kept", &Scope::Whole),
            ]
        );
        assert_eq!(unknown, ["backupbot.backup.volumes.typo"]);
    }

    #[test]
    fn hooks_belong_to_the_service_with_the_label() {
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
    fn snapshot_paths_are_the_common_paths() {
        let kept = ["/v/a/_data".to_owned(), "/v/b/_data/dump".to_owned(), "/v/b/_data/wal".to_owned()];
        for (wanted, holds) in [
            ("/v/a/_data", vec!["/v/a/_data"]),
            ("/v/a/_data/x", vec!["/v/a/_data/x"]),
            ("/v/b/_data", vec!["/v/b/_data/dump", "/v/b/_data/wal"]),
            ("/v/b/_data/dump", vec!["/v/b/_data/dump"]),
            ("/v/b/_data/other", vec![]),
            ("/v/c/_data", vec![]),
        ] {
            assert_eq!(snapshot_paths(&kept, wanted), holds, "{wanted}");
        }
    }

    #[test]
    fn path_with_dots_above_its_volume_is_outside() {
        assert!(is_inside("a/b.sql") && is_inside("..a") && !is_inside("../x") && !is_inside("a/../../x"));
    }
}
