//! A host: a Swarm that taster may deploy to, as its host file describes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::{RecipeName, Zone},
    settings::{self, BadSettings},
};
use crate::model::{ignore::Ignore, privilege::Privilege};

/// The contents of a host file. Paths are absolute once loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Apps get `<name>.<zone>`.
    pub zone: Zone,
    /// The abra to run; a bare name is looked up in `PATH`.
    #[serde(default = "default_abra")]
    pub abra: PathBuf,
    /// abra's name for the server; `default` is the local one.
    #[serde(default = "default_server")]
    pub server: String,
    /// The engine's socket.
    #[serde(default = "default_engine")]
    pub engine: PathBuf,
    /// The address that the zone's names resolve to, for when DNS does not know them.
    #[serde(default)]
    pub ingress: Option<SocketAddr>,
    /// A PEM file with certificates to trust besides the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The service of the backup bot. The backup tier makes snapshots in its repository and removes them afterwards. Without it
    /// the tiers backup and restore are not verified.
    #[serde(default)]
    pub backup: Option<String>,
    /// The privileges that each recipe may use.
    #[serde(default)]
    pub allow: BTreeMap<RecipeName, BTreeSet<Privilege>>,
    /// Limits of a run on this host.
    #[serde(default)]
    pub limits: Limits,
    /// Objects that change by themselves, so that their changes during a run do not count, each with a reason and a last day.
    #[serde(default)]
    pub ignore: Vec<Ignore>,
}

/// Limits of a run on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The maximum time in seconds for a deploy to settle. The default is what the recipe's own health checks allow, and at least
    /// 20 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_seconds: Option<u64>,
    /// The memory that must be free before a run, in MiB.
    pub free_memory_mib: u64,
    /// The disk space that must be free where the engine keeps images and volumes, in MiB.
    pub free_disk_mib: u64,
    /// The limits of a service where the recipe sets none.
    pub app: AppLimits,
    /// What an app may have at most. A recipe that asks for more is refused.
    pub most: Maxima,
}

impl Default for Limits {
    fn default() -> Self {
        let (app, most) = (AppLimits::default(), Maxima::default());
        Self { deploy_seconds: None, free_memory_mib: 256, free_disk_mib: 1024, app, most }
    }
}

/// The limits of each service of an app where the recipe sets none. An app that one of them ends has not failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppLimits {
    /// The memory of each task, in MiB.
    pub memory_mib: u64,
    /// The processors of each task. A task never gets more than a node has.
    pub cpus: u64,
    /// The processes of each task. Compose files of a format below 3.9 cannot limit them.
    pub processes: u64,
    /// The log of each task on its node, in MiB.
    pub log_mib: u64,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self { memory_mib: 4096, cpus: 4, processes: 4096, log_mib: 64 }
    }
}

/// What an app may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Maxima {
    /// Its services.
    pub services: u64,
    /// The tasks of all its services together: replicas and completions.
    pub tasks: u64,
    /// Its networks, volumes, secrets, configs and published ports together.
    pub objects: u64,
    /// The memory that a service limits or reserves for each task, in MiB.
    pub memory_mib: u64,
    /// The limit of a service's processes.
    pub processes: u64,
}

impl Default for Maxima {
    fn default() -> Self {
        Self { services: 50, tasks: 100, objects: 200, memory_mib: 32_768, processes: 32_768 }
    }
}

fn default_abra() -> PathBuf {
    "abra".into()
}

fn default_server() -> String {
    "default".into()
}

fn default_engine() -> PathBuf {
    "/var/run/docker.sock".into()
}

impl Host {
    /// Parses the text of a host file.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        settings::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_file_with_zone_alone_is_valid() {
        let host = Host::parse("zone = \"example.org\"").unwrap();
        assert_eq!((host.server.as_str(), host.abra.to_str()), ("default", Some("abra")));
    }

    #[test]
    fn ignore_without_reason_or_end_is_refused() {
        let with = |rest: &str| Host::parse(&format!("zone = \"a.b\"\n[[ignore]]\nwhat = \"volume x\"\n{rest}"));
        assert_eq!(with("reason = \"r\"\nuntil = \"2026-12-31\"\n").unwrap().ignore.len(), 1);
        for (rest, expected) in [
            ("until = \"2026-12-31\"\n", "key `reason` is missing"),
            ("reason = \"r\"\n", "key `until` is missing"),
            ("reason = \"r\"\nuntil = \"for ever\"\n", "\"for ever\" is not a day such as 2026-12-31"),
        ] {
            let message = with(rest).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn unknown_key_is_reported_with_place_and_closest_match() {
        for (text, message) in [
            ("zone = \"a.b\"\n  ingres = \"127.0.0.1:443\"\n", "line 2, column 3: unknown key `ingres`; did you mean `ingress`?"),
            ("zone = \"a.b\"\nxyzzy = 1\n", "line 2, column 1: unknown key `xyzzy`"),
            ("zone = 3\n", "line 1, column 8: a text is needed, and this is the number 3"),
            (
                "zone = \"a.b\"\ningress = \"here\"\n",
                "line 2, column 11: this is no address with a port, such as 203.0.113.7:443",
            ),
            (
                "zone = \"a.b\"\n[limits]\nfree_memory = 1\n",
                "line 3, column 1: unknown key `free_memory`; did you mean `free_memory_mib`?",
            ),
            ("server = \"x\"\n", "line 1, column 1: key `zone` is missing"),
        ] {
            assert_eq!(Host::parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
