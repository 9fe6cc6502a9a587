//! Names of Co-op Cloud and Docker Swarm, each a type whose values are valid.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {rule}")]
pub struct BadName {
    /// The kind of name, in the words of the documentation.
    pub kind: &'static str,
    /// The text.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// A name type: private text, checked on parse, serialised as a plain string.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": concat!("A valid ", $kind, ": ", $rule, ".") })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn label_like(text: &str, also: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c);
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !text.ends_with('-')
        && text.len() <= 63
        && text.chars().all(allowed)
}

fn docker_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn plain_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && text.chars().all(|c| c.is_ascii_graphic())
}

name!(
    /// The name of a recipe's folder and repository: `ghost`, `custom-html`.
    RecipeName, "recipe name", "lower-case letters, digits, `-` and `_`, beginning with a letter or digit",
    |text| label_like(text, "-_")
);
name!(
    /// The zone in which apps get their names: `taster.test`.
    Zone, "zone", "labels of lower-case letters, digits and `-`, joined by dots",
    |text| text.len() <= 253 && text.split('.').all(|part| label_like(part, "-"))
);
name!(
    /// The public name of an app, which is abra's name for it too: `hello-k3v9q2m7.taster.test`.
    Domain, "domain", "labels of lower-case letters, digits and `-`, joined by dots",
    |text| text.len() <= 253 && text.contains('.') && text.split('.').all(|part| label_like(part, "-"))
);
name!(
    /// The name of a Swarm stack. abra makes it from the domain, see [`StackName::of`].
    StackName, "stack name", "letters, digits, `_`, `.` and `-`",
    docker_name
);
name!(
    /// The full name of a Swarm service, stack included: `hello-k3v9q2m7_taster_test_app`.
    ServiceName, "service name", "letters, digits, `_`, `.` and `-`",
    docker_name
);
name!(
    /// The id that the engine gave a task.
    TaskId, "task id", "printable characters without blanks",
    plain_token
);
name!(
    /// The id of a node of the Swarm.
    NodeId, "node id", "printable characters without blanks",
    plain_token
);
name!(
    /// The id of a Swarm; the same for every client of that Swarm.
    SwarmId, "Swarm id", "printable characters without blanks",
    plain_token
);
name!(
    /// An image as a service names it: `nginx:1.29`, with or without a digest.
    ImageRef, "image reference", "printable characters without blanks",
    plain_token
);
name!(
    /// A full commit id of a recipe's repository.
    Commit, "commit", "40 hexadecimal digits",
    |text| text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
);
name!(
    /// The id of one run: a time stamp for people, and eight base32 characters that are unique to the run.
    /// It looks like `20261121-101502-k3v9q2m7`.
    RunId, "run id", "YYYYMMDD-HHMMSS- and eight of a-z2-7",
    |text| {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &str, len| part.len() == len && part.chars().all(|c| c.is_ascii_digit());
        matches!(parts[..], [day, time, token] if digits(day, 8) && digits(time, 6) && is_token(token))
    }
);

/// The number of characters of a stack name that abra keeps (docs/reference/abra.md 2.1).
pub const STACK_LIMIT: usize = 45;
/// The engine's limit for the name of a service.
pub const SERVICE_LIMIT: usize = 63;
/// The engine's limit for the name of a secret or a config.
pub const SECRET_LIMIT: usize = 64;

const TOKEN_LEN: usize = 8;
const LETTERS_LEN: usize = 10;

fn is_token(text: &str) -> bool {
    text.len() == TOKEN_LEN && text.chars().all(|c| c.is_ascii_lowercase() || ('2'..='7').contains(&c))
}

impl RunId {
    /// The id of a run that starts at `stamp` (`YYYYMMDD-HHMMSS`), made unique by five random bytes.
    pub fn new(stamp: &str, random: [u8; 5]) -> Result<Self, BadName> {
        let token = data_encoding::BASE32_NOPAD.encode(&random).to_ascii_lowercase();
        format!("{stamp}-{token}").parse()
    }

    /// The eight characters that are unique to the run. They are part of the app's domain.
    pub fn token(&self) -> &str {
        &self.0[self.0.len() - TOKEN_LEN..]
    }
}

impl Domain {
    /// The domain of the app of `run`: letters of the recipe, `-`, the run's token, in `zone`.
    ///
    /// The name is the claim: abra makes stack, secrets and volumes without labels of ours, so the token alone ties
    /// them to the run. Only ten letters are kept, because secrets are named after the domain and may have 64 characters.
    pub fn of(recipe: &RecipeName, run: &RunId, zone: &Zone) -> Result<Self, BadName> {
        let letters: String = recipe.0.chars().filter(|c| c.is_ascii_alphanumeric()).take(LETTERS_LEN).collect();
        format!("{letters}-{}.{zone}", run.token()).parse()
    }
}

impl StackName {
    /// The stack name that abra derives from an app's name: dots become underscores, cut to [`STACK_LIMIT`] characters.
    pub fn of(domain: &Domain) -> Self {
        Self(domain.0.replace('.', "_").chars().take(STACK_LIMIT).collect())
    }

    /// Whether `name` belongs to this stack. `shop` owns neither `shop2_db` nor `shop-2_db`.
    pub fn owns(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('_') && rest.len() > 1)
    }

    /// The name of `service` without this stack's prefix: `app` for `shop_app`.
    pub fn short<'a>(&self, service: &'a ServiceName) -> &'a str {
        service.0.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix('_')).unwrap_or(&service.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunId {
        RunId::new("20261121-101502", [1, 2, 3, 4, 5]).unwrap()
    }

    #[test]
    fn domain_contains_the_token_of_its_run() {
        let zone: Zone = "taster.test".parse().unwrap();
        for (recipe, domain) in [
            ("hello", "hello-aebagbaf.taster.test"),
            ("custom-html", "customhtml-aebagbaf.taster.test"),
            ("custom-html-tiny", "customhtml-aebagbaf.taster.test"),
        ] {
            let made = Domain::of(&recipe.parse().unwrap(), &run(), &zone).unwrap();
            assert_eq!(made.as_str(), domain);
            assert!(StackName::of(&made).as_str().len() <= STACK_LIMIT);
        }
    }

    #[test]
    fn stack_owns_only_names_with_its_whole_prefix() {
        let stack: StackName = "shop".parse().unwrap();
        for (name, owned) in
            [("shop_db", true), ("shop_a_b", true), ("shop", false), ("shop_", false), ("shop2_db", false), ("shop-2_db", false)]
        {
            assert_eq!(stack.owns(name), owned, "{name}");
        }
    }

    #[test]
    fn invalid_names_report_the_broken_rule() {
        assert_eq!(
            "Ghost!".parse::<RecipeName>().unwrap_err().to_string(),
            "\"Ghost!\" is not a valid recipe name: lower-case letters, digits, `-` and `_`, beginning with a letter or digit"
        );
        assert!("20261121-101502-k3v9q2m8".parse::<RunId>().is_err(), "8 is not a base32 character");
        assert!("localhost".parse::<Domain>().is_err());
        assert!("..".parse::<Domain>().is_err());
    }
}
