//! The secrets that abra makes for an app: those that a service uses, with the version that their names end with.

use super::{env::Modifiers, error::Unresolved, resolved::Resolved};

/// A secret as abra generates or expects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSecret {
    /// The name that the files give it.
    pub name: String,
    /// Its version, as `v1`.
    pub version: String,
    /// Its name on the Swarm.
    pub full_name: String,
    /// How it is generated.
    pub modifiers: Modifiers,
}

impl Resolved {
    /// The secrets of the app, in the order of their names.
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
