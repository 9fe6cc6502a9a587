//! The first pack of a recipe, derived from its compose files.

use std::fmt::Write;

use harness::{
    model::{names::RecipeName, pack::DatabaseKind},
    pure::recipe::compose::{Resolved, Service},
};

/// The network of public services, by Co-op Cloud's convention.
const PROXY: &str = "proxy";

/// The files of the pack, each with its path relative to the pack's folder.
pub fn scaffold(recipe: &RecipeName, resolved: &Resolved) -> Vec<(&'static str, String)> {
    vec![
        ("recipe.toml", settings(recipe, resolved)),
        ("custom/health.rs", health(&health_path(resolved))),
        ("custom/roundtrip.rs", ROUNDTRIP.to_owned()),
        ("PARITY.md", parity(recipe)),
    ]
}

fn settings(recipe: &RecipeName, resolved: &Resolved) -> String {
    let path = health_path(resolved);
    let mut text = format!(
        "# Settings of {recipe}; each key can be left out. docs/reference/recipe-file.md names all of them.\n\n\
         # The path that answers when the app is healthy, and the statuses of a healthy answer.\n\
         health_path = {path:?}\n# health_status = [200]\n"
    );
    let databases: Vec<(&String, DatabaseKind)> =
        resolved.services.iter().filter_map(|(name, service)| Some((name, database(service.image.as_str())?))).collect();
    if !databases.is_empty() {
        text.push_str(
            "\n# The databases of the app, by their images: a row is seeded in each, and looked for after upgrades and \
             restores.\n",
        );
    }
    for (name, kind) in databases {
        let kind = match kind {
            DatabaseKind::Postgres => "postgres",
            DatabaseKind::Mysql => "mysql",
            DatabaseKind::Sqlite => "sqlite",
            DatabaseKind::Redis => "redis",
        };
        let _ = write!(text, "[[databases]]\nservice = {name:?}\nkind = \"{kind}\"\n");
    }
    text
}

/// The kind of database that an image has, by the last part of its name.
fn database(image: &str) -> Option<DatabaseKind> {
    let name = image.split('@').next()?.rsplit('/').next()?.split(':').next()?;
    match name {
        "postgres" | "postgis" | "pgvector" | "timescaledb" => Some(DatabaseKind::Postgres),
        "mariadb" | "mysql" | "percona" => Some(DatabaseKind::Mysql),
        "redis" | "valkey" | "keydb" => Some(DatabaseKind::Redis),
        _ => None,
    }
}

/// The path that the health check of a public service requests, else `/`.
fn health_path(resolved: &Resolved) -> String {
    let public = resolved.services.values().filter(|service| service.networks.iter().any(|attachment| attachment.name == PROXY));
    public.into_iter().find_map(requested_path).unwrap_or_else(|| "/".to_owned())
}

fn requested_path(service: &Service) -> Option<String> {
    let test = service.health_test.join(" ");
    let (_, address) = test.split_once("://")?;
    let address = address.split(|c: char| c.is_whitespace() || "\"'|;)&<>".contains(c)).next()?;
    let path = &address[address.find('/')?..];
    (!path.contains('$')).then(|| path.to_owned())
}

fn health(path: &str) -> String {
    format!(
        r#"//! The app reports that it is healthy.

use harness::author::{{Suite, TestContext, TestError, ensure}};

pub fn suite() -> Suite {{
    Suite::new().health("the health page answers", answers)
}}

async fn answers(cx: TestContext) -> Result<(), TestError> {{
    let page = cx.get({path:?}).await?;
    // A page that requires a log-in is the app's own, too.
    let healthy = page.status() < 400 || [401, 403].contains(&page.status());
    ensure(healthy, format!("it answers with {{}}", page.status()))
}}
"#
    )
}

/// The second file. Its test proves nothing until its body is written, and reports that.
const ROUNDTRIP: &str = r#"//! Data that a user puts into the app comes back.

use harness::author::{Suite, TestContext, TestError};

pub fn suite() -> Suite {
    Suite::new().roundtrip("something is created and read back", read_back)
}

async fn read_back(_: TestContext) -> Result<(), TestError> {
    // Create something as a user would, read it back, and compare: docs/how-to/custom-tests.md shows how.
    // As long as this line stands, the test counts as not verified.
    Err(TestError::unwritten())
}
"#;

fn parity(recipe: &RecipeName) -> String {
    format!(
        "# Parity of {recipe}\n\n## Coverage\n\n| test | kind | what it shows |\n|---|---|---|\n\
         | `health::the health page answers` | health | the app reports that it is healthy |\n\
         | `roundtrip::something is created and read back` | roundtrip | nothing until its body is written |\n\n\
         ## Deferred\n\n| what | technical reason |\n|---|---|\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_of_database_follows_from_the_image() {
        for (image, kind) in [
            ("postgres:16", Some(DatabaseKind::Postgres)),
            ("docker.io/library/mariadb:11.4@sha256:0", Some(DatabaseKind::Mysql)),
            ("registry.example.org:5000/valkey", Some(DatabaseKind::Redis)),
            ("postgres-exporter:1", None),
            ("nginx", None),
        ] {
            assert_eq!(database(image), kind, "{image}");
        }
    }
}
