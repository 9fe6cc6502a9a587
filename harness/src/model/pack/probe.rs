//! Probes: conditions that a pack declares for a healthy app besides its health path.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthPath, Template};
use crate::model::names::{Domain, RunId};

/// A condition that must hold after each deploy and restore: a page or a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Declared", into = "Declared")]
#[schemars(with = "Declared")]
pub struct Probe {
    /// Where.
    host: Option<Template>,
    /// What.
    of: Of,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Page { path: HealthPath, status: BTreeSet<u16> },
    Port { tcp: u16, stable: u32 },
}

/// A probe as in `recipe.toml`: `path` requests a page over HTTPS, `tcp` connects to a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Declared {
    /// The host name, templated like `env`; by default the app's domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Template>,
    /// The page, as `/hosting/discovery`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<HealthPath>,
    /// The accepted statuses of the page; by default 200.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(inner(range(min = 100, max = 599)))]
    status: BTreeSet<u16>,
    /// The port that accepts connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tcp: Option<u16>,
    /// The number of consecutive connections to accept, one second apart; by default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    stable: Option<u32>,
}

/// A probe of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeGoal {
    /// A page answers over HTTPS with one of these statuses.
    Page {
        /// Its whole address.
        url: String,
        /// The statuses.
        status: BTreeSet<u16>,
    },
    /// A port accepts a number of consecutive connections, one second apart.
    Port {
        /// The name of the machine.
        host: String,
        /// Its port.
        port: u16,
        /// The number of connections.
        stable: u32,
    },
}

impl Probe {
    /// The probe for the app at `domain` in this run.
    pub fn goal(&self, domain: &Domain, run: &RunId) -> ProbeGoal {
        let host = self.host.as_ref().map_or_else(|| domain.to_string(), |host| host.fill(domain, run));
        match &self.of {
            Of::Page { path, status } => {
                ProbeGoal::Page { url: format!("https://{host}{}", path.as_str()), status: status.clone() }
            }
            Of::Port { tcp, stable } => ProbeGoal::Port { host, port: *tcp, stable: *stable },
        }
    }
}

impl ProbeGoal {
    /// The condition as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            ProbeGoal::Page { url, status } => {
                let status: Vec<String> = status.iter().map(u16::to_string).collect();
                format!("{url} answers with {}", status.join(" or "))
            }
            ProbeGoal::Port { host, port, stable: 1 } => format!("{host} accepts a connection to port {port}"),
            ProbeGoal::Port { host, port, stable } => format!("{host} accepts {stable} connections in a row to port {port}"),
        }
    }
}

impl TryFrom<Declared> for Probe {
    type Error = String;

    fn try_from(declared: Declared) -> Result<Self, String> {
        let Declared { host, path, status, tcp, stable } = declared;
        let of = match (path, tcp) {
            (Some(_), Some(_)) | (None, None) => return Err("a probe has either `path` or `tcp`".into()),
            (Some(_), None) if stable.is_some() => return Err("`stable` is for a port, and this probe asks for a page".into()),
            (None, Some(_)) if !status.is_empty() => {
                return Err("`status` is for a page, and this probe connects to a port".into());
            }
            (Some(path), None) => Of::Page { path, status: if status.is_empty() { BTreeSet::from([200]) } else { status } },
            (None, Some(tcp)) => match stable.unwrap_or(1) {
                stable @ 1..=60 => Of::Port { tcp, stable },
                _ => return Err("`stable` is a number from 1 to 60".into()),
            },
        };
        Ok(Self { host, of })
    }
}

impl From<Probe> for Declared {
    fn from(probe: Probe) -> Self {
        let Probe { host, of } = probe;
        let (path, status, tcp, stable) = match of {
            Of::Page { path, status } => (Some(path), status, None, None),
            Of::Port { tcp, stable } => (None, BTreeSet::new(), Some(tcp), Some(stable)),
        };
        Self { host, path, status, tcp, stable }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::pack::Settings;

    #[test]
    fn probe_is_a_page_or_a_port() {
        let (domain, run) = ("talk-aebagbaf.taster.test".parse().unwrap(), "20261121-101502-aebagbaf".parse().unwrap());
        for (text, expected) in [
            ("path = \"/up\"", Ok("https://talk-aebagbaf.taster.test/up answers with 200")),
            (
                "host = \"office.{domain}\"\npath = \"/\"\nstatus = [302, 200]",
                Ok("https://office.talk-aebagbaf.taster.test/ answers with 200 or 302"),
            ),
            ("tcp = 64738", Ok("talk-aebagbaf.taster.test accepts a connection to port 64738")),
            ("tcp = 64738\nstable = 3", Ok("talk-aebagbaf.taster.test accepts 3 connections in a row to port 64738")),
            ("host = \"a\"", Err("a probe has either `path` or `tcp`")),
            ("path = \"/\"\ntcp = 1", Err("a probe has either `path` or `tcp`")),
            ("path = \"/\"\nstable = 2", Err("`stable` is for a port, and this probe asks for a page")),
            ("tcp = 1\nstable = 0", Err("`stable` is a number from 1 to 60")),
            ("tcp = 1\nstabel = 2", Err("stable")),
        ] {
            let settings = Settings::parse(&format!("[[probes]]\n{text}\n"));
            match (settings, expected) {
                (Ok(settings), Ok(expected)) => {
                    assert_eq!(settings.probes[0].goal(&domain, &run).sentence(), expected);
                    let again = serde_json::to_value(&settings).unwrap();
                    assert_eq!(serde_json::from_value::<Settings>(again).unwrap(), settings, "a probe is read as it is written");
                }
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (settings, expected) => panic!("{text}: {settings:?}, and {expected:?} was to be expected"),
            }
        }
    }
}
