//! Which values of an `.env` are secrets. Pure.
//!
//! Recipes keep most secrets in Swarm, and their `.env` holds only the versions of these. But an `.env` may hold a password, and
//! hiding an ordinary word such as `true` would make every report unreadable. So both the name and the value decide.

use crate::pure::recipe::compose::Env;

/// Words of a name that make any value of it a secret.
const CERTAIN: [&str; 7] = ["PASSWORD", "PASSWD", "PASS", "PWD", "PASSPHRASE", "PASSWORDS", "CREDENTIALS"];
/// Words of a name that make a value a secret that looks like one.
const LIKELY: [&str; 13] =
    ["SECRET", "SECRETS", "TOKEN", "TOKENS", "KEY", "KEYS", "APIKEY", "SALT", "PEPPER", "CREDENTIAL", "AUTH", "JWT", "PRIVATE"];
/// Last words of a name whose value describes a secret and is not one.
const ABOUT: [&str; 24] = [
    "VERSION",
    "LENGTH",
    "FILE",
    "PATH",
    "DIR",
    "NAME",
    "USER",
    "USERNAME",
    "ID",
    "URL",
    "URI",
    "ENDPOINT",
    "ENABLED",
    "ENABLE",
    "TYPE",
    "EXPIRY",
    "TTL",
    "LIFETIME",
    "TIMEOUT",
    "ALGORITHM",
    "ALG",
    "POLICY",
    "HOST",
    "DOMAIN",
];
/// Values that are words, not secrets.
const WORDS: [&str; 18] = [
    "true",
    "false",
    "yes",
    "none",
    "null",
    "auto",
    "default",
    "enabled",
    "disabled",
    "change",
    "changeme",
    "change_me",
    "change-me",
    "secret",
    "password",
    "example",
    "production",
    "development",
];
/// The shortest value of a likely name that counts as a secret, in characters.
const SHORTEST_LIKELY: usize = 8;
/// The length from which a value without a digit counts as a secret, too.
const LONG: usize = 16;

/// The variables of an `.env` that hold secrets, with their values. A text that cannot be parsed as an `.env` is read line by
/// line.
pub fn secrets(text: &str) -> Vec<(String, String)> {
    let pairs: Vec<(String, String)> = match Env::parse(text) {
        Ok(env) => env.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        Err(_) => text.lines().filter_map(line).collect(),
    };
    among(&pairs)
}

/// Those of `pairs` that hold secrets, with their values.
pub fn among(pairs: &[(String, String)]) -> Vec<(String, String)> {
    // The app's name and the parts of its address are in every report, so they cannot be secret.
    let public: String = pairs
        .iter()
        .filter(|(key, _)| matches!(key.as_str(), "TYPE" | "RECIPE" | "DOMAIN" | "STACK_NAME"))
        .map(|(_, value)| format!("{value}\n"))
        .collect();
    let known = |value: &str| public.contains(value);
    let whole = pairs.iter().filter(|(key, value)| holds(key, value)).cloned();
    let within = pairs.iter().filter_map(|(key, value)| Some((key.clone(), of_url(value)?)));
    whole.chain(within).filter(|(_, value)| !known(value)).collect()
}

fn line(line: &str) -> Option<(String, String)> {
    let (key, value) = line.trim().trim_start_matches("export ").split_once('=')?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!key.starts_with('#')).then(|| (key.trim().to_owned(), value.to_owned()))
}

/// Whether the name of a variable is like that of a secret.
pub fn sounds_secret(key: &str) -> bool {
    hint(key).is_some()
}

/// What the name of a variable says about its value.
enum Hint {
    /// The value is a secret.
    Certain,
    /// The value is a secret if it looks like one.
    Likely,
}

fn hint(key: &str) -> Option<Hint> {
    let key = key.to_ascii_uppercase();
    let words: Vec<&str> = key.split(['_', '-', '.']).collect();
    if words.last().is_some_and(|word| ABOUT.contains(word)) || words.contains(&"PUBLIC") {
        return None;
    }
    let names = |known: &[&str]| words.iter().any(|word| known.contains(word));
    // `DBPASSWORD` and `adminPassword` are as certain as `DB_PASSWORD`.
    let certain = names(&CERTAIN) || key.ends_with("PASSWORD") || key.ends_with("PASSPHRASE");
    certain.then_some(Hint::Certain).or_else(|| names(&LIKELY).then_some(Hint::Likely))
}

/// Whether a variable of this name with this value holds a secret.
fn holds(key: &str, value: &str) -> bool {
    let word = value.parse::<f64>().is_ok() && value.len() < SHORTEST_LIKELY
        || WORDS.contains(&value.to_ascii_lowercase().as_str())
        || value.starts_with('/')
        || value.starts_with('$')
        || value.chars().count() < super::SHORTEST;
    let digits = value.chars().any(|c| c.is_ascii_digit());
    let random = !value.contains(' ') && value.chars().count() >= if digits { SHORTEST_LIKELY } else { LONG };
    match hint(key) {
        _ if word => false,
        Some(Hint::Certain) => true,
        Some(Hint::Likely) => random,
        None => false,
    }
}

/// The password in an address such as `postgres://user:password@host`.
fn of_url(value: &str) -> Option<String> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.starts_with('$') && password.chars().count() >= super::SHORTEST).then(|| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_value_decide_about_a_secret() {
        let rows = [
            ("DB_PASSWORD=hunter2", Some("hunter2")),
            ("ADMIN_PASS=correct horse", Some("correct horse")),
            ("smtp_password='p#ss'", Some("p#ss")),
            ("DBPASSWORD=wonderful", Some("wonderful")),
            ("API_KEY=0a1b2c3d4e", Some("0a1b2c3d4e")),
            ("OIDC_CLIENT_SECRET=abcdefghijklmnopqrst", Some("abcdefghijklmnopqrst")),
            ("export GITEA_TOKEN=tok-12345678", Some("tok-12345678")),
            ("DATABASE_URL=postgres://app:s3cr3t@db/app", Some("s3cr3t")),
            ("PIN_PASSWORD=12345678", Some("12345678")),
            // Versions and descriptions of secrets.
            ("SECRET_DB_PASSWORD_VERSION=v1 # length=32", None),
            ("DB_PASSWORD_FILE=/run/secrets/db_password", None),
            ("PASSWORD_POLICY=strong-and-long", None),
            ("TOKEN_LIFETIME=3600000000", None),
            ("KEY_LENGTH=4096000000", None),
            ("PUBLIC_KEY=AAAAC3NzaC1lZDI1NTE5", None),
            ("OIDC_CLIENT_ID=client-123456", None),
            ("SECRET_URL=https://vault.example.com/1", None),
            // Ordinary words.
            ("ENABLE_PASSWORD=true", None),
            ("DB_PASSWORD=changeme", None),
            ("DB_PASSWORD=abc", None),
            ("DB_PASSWORD=", None),
            ("DB_PASSWORD=$OTHER", None),
            ("DB_PASSWORD=ghost", None),
            ("AUTH=required", None),
            ("TOKEN_KIND=bearer", None),
            ("SORT_KEY=created at 2026", None),
            // Names that are only similar.
            ("KEYCLOAK_REALM=master-realm-12345", None),
            ("MONKEY=abcdefgh12345", None),
            ("COMPASS=abcdefgh12345", None),
            ("TIMEOUT=120", None),
            ("EXTRA_DOMAINS=', `www.ghost.example.com`'", None),
            ("HOMEPAGE=https://example.com/a:b@c", None),
        ];
        for (line, secret) in rows {
            let found = secrets(&format!("TYPE=ghost\nDOMAIN=ghost.example.com\n{line}\n"));
            let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
            assert_eq!(values, secret.into_iter().collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn unparsable_env_is_read_line_by_line() {
        let found = secrets("BROKEN\nDB_PASSWORD=\"hunter2\n#OTHER_PASSWORD=hunter3\n");
        assert_eq!(found, [("DB_PASSWORD".to_owned(), "hunter2".to_owned())]);
    }
}
