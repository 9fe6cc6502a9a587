//! A host: a Swarm that taster may deploy to, as its host file describes it.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    names::Zone,
    settings::{self, BadSettings},
};

/// What a host file holds. Paths are absolute once loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Apps get `<name>.<zone>`.
    pub zone: Zone,
    /// The abra to drive; a bare name is looked up in `PATH`.
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

/// The keys of a host file.
pub const KEYS: [&str; 6] = ["zone", "abra", "server", "engine", "ingress", "ca"];

impl Host {
    /// Reads a host file's text.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        settings::parse(text, &KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_enough() {
        let host = Host::parse("zone = \"example.org\"").unwrap();
        assert_eq!((host.server.as_str(), host.abra.to_str()), ("default", Some("abra")));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_closest_match() {
        for (text, said) in [
            ("zone = \"a.b\"\n  ingres = \"127.0.0.1:443\"\n", "line 2, column 3: unknown key `ingres`; did you mean `ingress`?"),
            ("zone = \"a.b\"\nxyzzy = 1\n", "line 2, column 1: unknown key `xyzzy`"),
            ("zone = 3\n", "line 1, column 8: invalid type: integer `3`, expected a string"),
            ("zone = \"a.b\"\ningress = \"here\"\n", "line 2, column 11: invalid socket address syntax"),
            ("server = \"x\"\n", "line 1, column 1: missing field `zone`"),
        ] {
            assert_eq!(Host::parse(text).unwrap_err().to_string(), said, "{text}");
        }
    }

    #[test]
    fn the_list_of_keys_is_the_type() {
        let host = Host::parse("zone = \"a.b\"").unwrap();
        let serde_json::Value::Object(map) = serde_json::to_value(host).unwrap() else { panic!("a host is an object") };
        let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
        let mut known = KEYS;
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
