//! The rungs of the ladder to level 5.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome::Tier;

/// A rung of the ladder, from the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Tier install.
    Install,
    /// Tier upgrade.
    Upgrade,
    /// Tiers backup and restore together.
    BackupRestore,
    /// Tier custom.
    Custom,
    /// Lint of the head.
    Lint,
}

impl Rung {
    /// All rungs, from the lowest.
    pub const ALL: [Rung; 5] = [Rung::Install, Rung::Upgrade, Rung::BackupRestore, Rung::Custom, Rung::Lint];

    /// The rung's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Install => "install",
            Rung::Upgrade => "upgrade",
            Rung::BackupRestore => "backup_restore",
            Rung::Custom => "custom",
            Rung::Lint => "lint",
        }
    }

    /// The rung of a tier.
    pub fn of(tier: Tier) -> Self {
        match tier {
            Tier::Install => Rung::Install,
            Tier::Upgrade => Rung::Upgrade,
            Tier::Backup | Tier::Restore => Rung::BackupRestore,
            Tier::Custom => Rung::Custom,
        }
    }

    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            Rung::BackupRestore => "backup and restore",
            Rung::Install | Rung::Upgrade | Rung::Custom | Rung::Lint => self.name(),
        }
    }
}
