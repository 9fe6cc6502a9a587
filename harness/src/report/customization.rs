//! What a recipe's pack changes about a run: settings that are not the default, tests, hooks.

use serde_json::{Value, json};

use crate::{
    model::pack::{Origin, Pack, Settings, TestKind},
    redact::{MASK, env::sounds_secret},
};

/// The most characters of a value that are shown.
const SHOWN: usize = 60;
/// The keys that hold variables of the app.
const VARIABLES: [&str; 2] = ["env", "upgrade_env"];
/// The key that holds values of secrets.
const SECRETS: &str = "secrets";

/// The changes as `results.json` has them. The values of variables with a secret's name are hidden.
pub fn document(pack: &Pack) -> Value {
    json!({
        "settings": changed(&pack.settings),
        "tests": pack.tests,
        "hooks": pack.hooks,
        "overlay": pack.overlay.is_some(),
        "superficial": pack.superficial(),
    })
}

/// The changes for people: at most three topics with a line each, none without a pack.
pub fn topics(pack: &Pack) -> Vec<(&'static str, String)> {
    let topics = [("settings", settings(&pack.settings)), ("tests", tests(pack)), ("hooks", hooks(pack))];
    topics.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// The settings that are not the default.
fn changed(settings: &Settings) -> Value {
    let whole = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
    let (mut settings, default) = (whole(settings), whole(&Settings::default()));
    if let Some(keys) = settings.as_object_mut() {
        keys.retain(|key, value| default.get(key) != Some(value));
    }
    for variables in VARIABLES {
        let variables = settings.get_mut(variables).and_then(Value::as_object_mut);
        for (_, value) in variables.into_iter().flatten().filter(|(name, _)| sounds_secret(name)) {
            *value = MASK.into();
        }
    }
    let secrets = settings.get_mut(SECRETS).and_then(Value::as_object_mut);
    secrets.into_iter().flatten().for_each(|(_, value)| *value = MASK.into());
    settings
}

fn settings(settings: &Settings) -> String {
    let Value::Object(keys) = changed(settings) else { return String::new() };
    let each = keys.into_iter().flat_map(|(key, value)| match value {
        Value::Object(fields) if key != "repair" => {
            fields.into_iter().map(|(name, value)| format!("{key}.{name} = {}", short(&value))).collect()
        }
        Value::Object(fields) => vec![format!("{key} of {}", fields.get("version").map(short).unwrap_or_default())],
        Value::Array(items) if items.iter().any(Value::is_object) => vec![listed(&key, &items)],
        value => vec![format!("{key} = {}", short(&value))],
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A list of tables: databases by their service and kind, others by their number.
fn listed(key: &str, items: &[Value]) -> String {
    let word = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let named = items.iter().map(|item| Some(format!("{} ({})", word(item, "service")?, word(item, "kind")?)));
    match named.collect::<Option<Vec<String>>>() {
        Some(named) => format!("{key}: {}", named.join(" and ")),
        None => format!("{key}: {}", items.len()),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.chars().count() {
        ..=SHOWN => text,
        _ => text.chars().take(SHOWN).chain(['…']).collect(),
    }
}

fn tests(pack: &Pack) -> String {
    let kinds = TestKind::ALL.map(|kind| (pack.tests.iter().filter(|test| test.kind == kind).count(), kind.name()));
    let kinds = kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}"));
    let outside = pack.tests.iter().filter(|test| test.origin != Origin::Pack).count();
    let outside = (outside > 0).then(|| format!("{outside} of these executables"));
    kinds.chain(outside).collect::<Vec<_>>().join(", ")
}

fn hooks(pack: &Pack) -> String {
    let hooks = &pack.hooks;
    let checks: Vec<String> = hooks.checks.iter().map(|(tier, name)| format!("{:?} after {tier}", name.sentence())).collect();
    let canaries: Vec<String> = hooks.canaries.iter().map(|name| format!("{name:?}")).collect();
    let several = |what: &str, names: Vec<String>| (!names.is_empty()).then(|| format!("{what} {}", names.join(" and ")));
    let has = |there: bool, what: &str| there.then(|| what.to_owned());
    let each = [
        has(hooks.configure, "configures the app before its first deploy"),
        has(hooks.ready, "says when the app is ready"),
        several("canary", canaries),
        several("check", checks),
        has(pack.overlay.is_some(), "overlay compose.ci.yml"),
    ];
    each.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        outcome::Tier,
        pack::{CustomTest, Hooks, TestName},
    };

    fn with(settings: &str) -> Pack {
        Pack { settings: Settings::parse(settings).unwrap(), ..Pack::default() }
    }

    #[test]
    fn settings_that_are_not_the_default_are_shown_with_their_values() {
        for (settings, expected) in [
            ("", None),
            ("health_path = \"/\"\n", None),
            ("health_path = \"/up\"\nhealth_status = [200]\n", Some("health_path = \"/up\", health_status = [200]")),
            ("[env]\nPUBLIC_URL = \"https://{domain}/\"\n", Some("env.PUBLIC_URL = \"https://{domain}/\"")),
            ("[resources]\nmemory_mib = 512\n", Some("resources.memory_mib = 512, resources.ports = []")),
            ("[[databases]]\nservice = \"db\"\nkind = \"mysql\"\n", Some("databases: db (mysql)")),
            ("[[probes]]\npath = \"/a\"\n[[probes]]\npath = \"/b\"\n", Some("probes: 2")),
            ("[repair]\nversion = \"1.0.0+1\"\ncompose = \"services: {}\"\n", Some("repair of \"1.0.0+1\"")),
            ("[rungs]\nlint = \"required\"\n", Some("rungs.lint = \"required\"")),
        ] {
            let topics = topics(&with(settings));
            assert_eq!(
                topics.first().map(|(topic, text)| (*topic, text.as_str())),
                expected.map(|text| ("settings", text)),
                "{settings}"
            );
        }
    }

    #[test]
    fn values_of_variables_that_sound_secret_are_hidden() {
        for (name, hidden) in [
            ("ADMIN_PASSWORD", true),
            ("SMTP_PASS", true),
            ("API_TOKEN", true),
            ("OIDC_CLIENT_SECRET", true),
            ("JWT_KEY", true),
            ("dbPassword", true),
            ("PASSWORD_POLICY", false),
            ("TOKEN_LIFETIME", false),
            ("PUBLIC_KEY", false),
            ("SECRET_TOKEN_VERSION", false),
            ("MAIL_FROM", false),
        ] {
            // Also values that are too short, or too common, for the filter of all texts.
            for value in ["v1", "letmein", "correct horse battery staple"] {
                for table in VARIABLES {
                    let pack = with(&format!("[{table}]\n{name} = \"{value}\"\n"));
                    let (text, document) = (format!("{:?}", topics(&pack)), document(&pack).to_string());
                    assert_eq!((text.contains(value), document.contains(value)), (!hidden, !hidden), "{name}: {text} {document}");
                    assert!(text.contains(name) && document.contains(name), "the name is shown");
                }
            }
        }
    }

    #[test]
    fn tests_are_counted_by_kind_and_hooks_are_named() {
        let test =
            |kind, origin| CustomTest { name: TestName::of_test("a", "x"), kind, file: "custom/a.rs".into(), origin, flaw: None };
        let tests = vec![
            test(TestKind::Health, Origin::Pack),
            test(TestKind::Distinctive, Origin::Folder),
            test(TestKind::Distinctive, Origin::Pack),
        ];
        let hooks = Hooks {
            configure: true,
            ready: false,
            canaries: vec!["a post".into()],
            checks: vec![(Tier::Upgrade, TestName::of_check(Tier::Upgrade, "the queue is empty"))],
        };
        let pack = Pack { tests, hooks, overlay: Some("services: {}".into()), ..Pack::default() };
        let hooks = "configures the app before its first deploy, canary \"a post\", check \"the queue is empty\" after upgrade, \
                     overlay compose.ci.yml";
        assert_eq!(
            topics(&pack),
            [("tests", "1 health, 2 distinctive, 1 of these executables".to_owned()), ("hooks", hooks.to_owned())]
        );
        assert!(topics(&Pack::default()).is_empty());
    }
}
