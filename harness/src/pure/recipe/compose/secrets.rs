//! The secrets that abra generates for an app: secrets that a service uses, with a version suffix in their names.

use super::{env::Modifiers, error::Unresolved, resolved::Resolved};

/// A secret that abra generates or expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSecret {
    /// Its name in the compose files.
    pub name: String,
    /// Its version, as `v1`.
    pub version: String,
    /// Its name on the Swarm.
    pub full_name: String,
    /// Its modifiers.
    pub modifiers: Modifiers,
}

impl Resolved {
    /// The secrets of the app, ordered by name.
    pub fn secrets(&self) -> Result<Vec<WantedSecret>, Unresolved> {
        let used = self.secrets.iter().filter(|(_, secret)| secret.used && secret.file.is_none());
        used.map(|(name, secret)| {
            let version = secret.name.rsplit('_').next().unwrap_or_default();
            match version {
                "" => Err(Unresolved::NoSecretVersion { secret: name.clone(), name: secret.name.clone() }),
                version => Ok(WantedSecret {
                    name: name.clone(),
                    version: version.to_owned(),
                    full_name: secret.name.clone(),
                    modifiers: secret.modifiers.clone(),
                }),
            }
        })
        .collect()
    }
}
