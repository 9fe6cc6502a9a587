//! The sixteen rules (docs/reference/abra.md 6.3). Rules that need a catalogue or a network are skipped, because the sandbox
//! has neither.

use std::collections::BTreeMap;

use formats::dotenv::exports;

use super::{
    super::{env::filled_or_kept, error::CommandResult},
    LintInput,
};

/// The version that compose files must declare.
const COMPOSE_VERSION: &str = "3.8";
/// The longest name of a secret, in characters.
const SECRET_NAME: usize = 12;

/// The severity of a broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Warn,
    Error,
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Severity::Warn => "warn",
            Severity::Error => "error",
        }
    }
}

/// The result of a rule for a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Holds,
    Broken,
    Skipped,
}

/// A rule.
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    pub(super) resolve: &'static str,
    pub(super) check: fn(&LintInput) -> CommandResult<State>,
}

const fn warn(
    id: &'static str,
    name: &'static str,
    resolve: &'static str,
    check: fn(&LintInput) -> CommandResult<State>,
) -> Rule {
    Rule { id, name, severity: Severity::Warn, resolve, check }
}

const fn error(
    id: &'static str,
    name: &'static str,
    resolve: &'static str,
    check: fn(&LintInput) -> CommandResult<State>,
) -> Rule {
    Rule { id, name, severity: Severity::Error, resolve, check }
}

pub(super) const RULES: [Rule; 16] = [
    warn("R001", "compose config has expected version", "ensure 'version: \"3.8\"' in compose configs", |linted| {
        holds(linted.compose.version() == COMPOSE_VERSION)
    }),
    warn("R002", "healthcheck enabled for all services", "wire up healthchecks", |linted| {
        let compose = &linted.compose;
        holds(compose.services().into_iter().all(|service| compose.has(service, "healthcheck")))
    }),
    warn("R003", "all images use a tag", "use a tag for all images", |linted| {
        holds(images(linted).all(|image| tag(&image).is_some()))
    }),
    warn("R004", "no unstable tags", "tag all images with stable tags", |linted| {
        holds(images(linted).all(|image| tag(&image) != Some("latest")))
    }),
    warn("R005", "tags use semver-like format", "use semver-like tags", |linted| {
        holds(images(linted).all(|image| tag(&image).is_some_and(is_like_semver)))
    }),
    warn("R006", "has published catalogue version", "publish a recipe version to the catalogue", skipped),
    warn("R007", "README.md metadata filled in", "fill out all the metadata", skipped),
    error("R008", ".env.sample provided", "create an example .env.sample", |linted| {
        holds(linted.recipe.dir.join(".env.sample").is_file())
    }),
    error("R009", "one service named 'app'", "name a service 'app'", |linted| holds(linted.compose.services().contains("app"))),
    error("R010", "traefik routing enabled", "include \"traefik.enable=true\" deploy label", has_route),
    error("R011", "all services have images", "ensure \"image: ...\" set on all services", |linted| {
        let images = linted.compose.images();
        holds(linted.compose.services().iter().all(|service| images.contains_key(service)))
    }),
    error("R012", "config versions are vendored", "vendor config versions in an abra.sh", config_versions_are_exported),
    warn("R013", "git.coopcloud.tech repo exists", "upload your recipe to git.coopcloud.tech", skipped),
    error("R014", "only annotated tags used for recipe version", "replace lightweight tag with annotated tag", |linted| {
        holds(linted.recipe.lightweight()?.is_empty())
    }),
    warn("R015", "long secret names", "reduce length of secret names to 12 characters", |linted| {
        holds(linted.compose.declared("secrets").all(|(name, _)| name.chars().count() <= SECRET_NAME))
    }),
    warn("R016", "not known to the sandbox abra", "-", skipped),
];

fn holds(holds: bool) -> CommandResult<State> {
    Ok(if holds { State::Holds } else { State::Broken })
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a rule")]
fn skipped(_: &LintInput) -> CommandResult<State> {
    Ok(State::Skipped)
}

/// Whether a service asks for a route. Skipped without a domain.
fn has_route(linted: &LintInput) -> CommandResult<State> {
    if linted.sample.get("DOMAIN").is_none() {
        return Ok(State::Skipped);
    }
    let values = values(linted);
    let enabled = |service: &str| linted.compose.labels(service, &values).get("traefik.enable").is_some_and(|on| on == "true");
    holds(linted.compose.services().into_iter().any(enabled))
}

/// Whether `abra.sh` exports every variable `…_VERSION` in the names of configs.
fn config_versions_are_exported(linted: &LintInput) -> CommandResult<State> {
    let script = std::fs::read(linted.recipe.dir.join("abra.sh")).unwrap_or_default();
    let script = String::from_utf8_lossy(&script);
    let exported = exports(&script);
    let names = linted.compose.declared("configs").filter_map(|(_, body)| body.get("name")?.as_str());
    holds(names.flat_map(versions).all(|variable| exported.contains_key(variable)))
}

/// The variables `…_VERSION` in a name.
fn versions(name: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let variables = name.split('$').skip(1).map(move |after| {
        let after = after.trim_start_matches('{');
        &after[..after.find(|c| !word(c)).unwrap_or(after.len())]
    });
    variables.filter(|variable| variable.ends_with("_VERSION"))
}

/// The variables of the sample.
fn values(linted: &LintInput) -> BTreeMap<String, String> {
    linted.sample.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The images of services, with variables filled in from the sample.
fn images(linted: &LintInput) -> impl Iterator<Item = String> {
    let values = values(linted);
    linted.compose.images().into_values().map(move |image| filled_or_kept(image, &values))
}

/// The tag of an image. The port of a registry is not a tag.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let last = name.rsplit('/').next()?;
    Some(last.split_once(':')?.1)
}

/// Whether a tag is one to three numbers, with an optional `v` before and an optional rest after `-`, `+` or `_`.
fn is_like_semver(tag: &str) -> bool {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let numbers = tag.split(['-', '+', '_']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    parts.len() <= 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_follows_the_last_colon_of_the_name() {
        for (image, found, semver) in [
            ("nginx", None, false),
            ("nginx:1.29", Some("1.29"), true),
            ("reg:5000/nginx", None, false),
            ("reg:5000/a/nginx:v2-alpine@sha256:00", Some("v2-alpine"), true),
            ("nginx:latest", Some("latest"), false),
            ("nginx:1.2.3.4", Some("1.2.3.4"), false),
            ("nginx:12-bookworm", Some("12-bookworm"), true),
        ] {
            assert_eq!((tag(image), tag(image).is_some_and(is_like_semver)), (found, semver), "{image}");
        }
    }

    #[test]
    fn version_variables_of_a_config_name_are_found() {
        for (name, found) in [
            ("${STACK_NAME}_motd_${MOTD_VERSION}", vec!["MOTD_VERSION"]),
            ("$STACK_NAME-$A_VERSION", vec!["A_VERSION"]),
            ("${STACK_NAME}_x_${X_VERSION:-v1}", vec!["X_VERSION"]),
            ("plain", vec![]),
        ] {
            assert_eq!(versions(name).collect::<Vec<_>>(), found, "{name}");
        }
    }

    #[test]
    fn rules_are_numbered_in_order() {
        for (at, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.id, format!("R{:03}", at + 1));
        }
    }
}
