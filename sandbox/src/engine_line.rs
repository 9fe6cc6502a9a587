//! Lines of Docker engines that the sandbox builds itself, from the modules that Docker publishes for Go. Distributions are years
//! behind the engines of servers, and a recipe has to work on those.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::embedded::digest;

/// A line of Docker engines that the sandbox can build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineLine {
    /// Docker Engine 29.
    #[serde(rename = "29")]
    V29,
}

impl EngineLine {
    /// All lines.
    pub const ALL: [Self; 1] = [Self::V29];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::V29 => "29",
        }
    }

    pub(crate) fn programs(self) -> &'static [Program] {
        match self {
            Self::V29 => &[
                Program {
                    package: "github.com/moby/moby/v2/cmd/dockerd@v2.0.0-beta.24",
                    tags: "netgo osusergo exclude_graphdriver_btrfs no_btrfs",
                    link: "-s -w -X github.com/moby/moby/v2/dockerversion.Version=29.0.0-moby-2.0.0-beta.24",
                    c: false,
                },
                Program { package: "github.com/moby/moby/v2/cmd/docker-proxy@v2.0.0-beta.24", tags: "", link: "-s -w", c: false },
                // The engine sets up namespaces that the runc of older distributions does not know.
                Program { package: "github.com/opencontainers/runc@v1.5.3", tags: "seccomp", link: "-s -w", c: true },
            ],
        }
    }

    /// The folder of its programs below `cache`. Each change of a source gives another name.
    pub(crate) fn folder(self, cache: &Path) -> PathBuf {
        let definition = format!("{:?}", self.programs());
        cache.join(format!("engine-{self}-{}", digest([definition.as_bytes()])))
    }
}

impl fmt::Display for EngineLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|line| line.name() == text).ok_or_else(|| format!("taster builds engines of: {}", names()))
    }
}

/// A program that `go install` builds.
#[derive(Debug)]
pub(crate) struct Program {
    /// Package and version.
    pub(crate) package: &'static str,
    /// Build tags.
    pub(crate) tags: &'static str,
    /// Flags of the linker.
    pub(crate) link: &'static str,
    /// Whether it needs a C compiler and libseccomp.
    pub(crate) c: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_read_by_its_name_and_an_unknown_one_lists_all() {
        assert_eq!("29".parse(), Ok(EngineLine::V29));
        assert_eq!("28".parse::<EngineLine>(), Err("taster builds engines of: 29".to_owned()));
    }
}
