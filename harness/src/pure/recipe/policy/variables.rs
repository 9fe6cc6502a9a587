//! Variables that a recipe or its pack may not set.
//!
//! An app's `.env` says which app it is, and abra and the programs that it starts read some of the same names. `reserved_reason`
//! is the closed list of them; names that differ only in upper and lower case count as one.

use std::collections::BTreeMap;

use crate::{
    model::names::{Domain, RecipeName},
    pure::recipe::compose::{Assignment, Env, FoundPath, Tree, assignments, exports},
};

/// The variables that say which app it is; abra or a run sets them.
const IDENTITY: [&str; 4] = ["STACK_NAME", "DOMAIN", "TYPE", "RECIPE"];
/// Names that programs of the host read: the loader, shells, resolvers, Go programs, TLS and proxies.
const HOST_NAMES: [&str; 52] = [
    "ALL_PROXY",
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "EDITOR",
    "FTP_PROXY",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLOBIGNORE",
    "GNUPGHOME",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOTRACEBACK",
    "HOME",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "LOGNAME",
    "NLSPATH",
    "NO_PROXY",
    "OLDPWD",
    "PAGER",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "SHELL",
    "SHELLOPTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZDIR",
    "VISUAL",
    "ZDOTDIR",
];
/// How names begin that programs of the host read: the loader and libc, bash, docker, git, ssh, sudo, abra and taster.
const HOST_PREFIXES: [&str; 16] = [
    "ABRA_",
    "BASH_",
    "BUILDKIT_",
    "BUILDX_",
    "DBUS_",
    "DOCKER_",
    "DYLD_",
    "GIT_",
    "GLIBC_",
    "GPG_",
    "LD_",
    "MALLOC_",
    "SSH_",
    "SUDO_",
    "TASTER_",
    "XDG_",
];
/// The one variable of a compose program that abra reads.
const COMPOSE_FILE: &str = "COMPOSE_FILE";

/// What policy has against the variables of an app, a sentence each: those of the `.env.sample` in `tree`, those that `abra.sh`
/// exports, and those of `env`, which also holds what the pack and the run have set.
pub fn variable_objections(tree: &Tree, env: &Env, recipe: &RecipeName, domain: &Domain) -> Vec<String> {
    let sample = match tree.find(".env.sample") {
        FoundPath::Text(text) => assignments(text).unwrap_or_default(),
        FoundPath::Opaque(_) | FoundPath::Folder | FoundPath::Absent | FoundPath::Outside => Vec::new(),
    };
    let mut found = sample_objections(&sample, recipe);
    let exported = exports(&tree.script("abra.sh").unwrap_or_default());
    let own = |key: &str| IDENTITY.contains(&key) || key == COMPOSE_FILE || reserved_reason(key).is_some();
    let exported = exported.keys().filter(|key| own(&key.to_uppercase()) && !key.eq_ignore_ascii_case("PATH"));
    found.extend(exported.map(|key| format!("abra.sh exports {key}, which would replace the app's own; remove the line")));
    let of_sample = |key: &str| sample.iter().any(|assignment| assignment.key == key);
    let others = env.iter().map(|(key, _)| key).filter(|key| !of_sample(key) && !IDENTITY[1..].contains(key));
    found.extend(others.filter_map(set_objection));
    if let Some(other) = env.get("DOMAIN").filter(|other| *other != domain.as_str()) {
        found.push(format!("DOMAIN is {other} and not {domain}; only taster sets DOMAIN"));
    }
    let kinds = ["TYPE", "RECIPE"].into_iter().filter(|key| !of_sample(key)).filter_map(|key| Some((key, env.get(key)?)));
    found.extend(kinds.filter(|(_, value)| !names(value, recipe)).map(|(key, value)| foreign_recipe(key, value, recipe)));
    found
}

/// What policy has against a variable that a pack sets, if anything.
pub fn set_objection(key: &str) -> Option<String> {
    let identity = IDENTITY.contains(&key.to_uppercase().as_str());
    let reason = reserved_reason(key).or(identity.then_some("says which app it is, and taster sets it"))?;
    Some(format!("the variable {key} {reason}; remove it from the pack"))
}

fn sample_objections(sample: &[Assignment], recipe: &RecipeName) -> Vec<String> {
    let mut first: BTreeMap<&str, &Assignment> = BTreeMap::new();
    let mut found = Vec::new();
    for assignment in sample {
        let Assignment { line, key, value, .. } = assignment;
        let place = format!(".env.sample, line {line}:");
        let upper = key.to_uppercase();
        if let Some(reason) = reserved_reason(key) {
            found.push(format!("{place} the variable {key} {reason}; remove the line"));
            continue;
        }
        let Some(identity) = IDENTITY.into_iter().find(|name| *name == upper) else { continue };
        if *key != identity {
            found.push(format!("{place} {key} differs from {identity} only in upper and lower case; remove the line"));
            continue;
        }
        // abra takes RECIPE for TYPE.
        let identity = if identity == "RECIPE" { "TYPE" } else { identity };
        if let Some(other) = first.insert(identity, assignment) {
            found.push(format!("{place} {key} is set a second time, after line {} with {}; remove one", other.line, other.key));
        }
        if identity == "TYPE" && !names(value, recipe) {
            found.push(format!("{place} {}", foreign_recipe(key, value, recipe)));
        }
    }
    found
}

/// Whether the value of TYPE is the recipe, with or without a version.
fn names(value: &str, recipe: &RecipeName) -> bool {
    value.split(':').next() == Some(recipe.as_str())
}

fn foreign_recipe(key: &str, value: &str, recipe: &RecipeName) -> String {
    format!("{key} names the recipe {value:?}, and this one is {recipe}")
}

/// Why a variable belongs to abra or to the host; absent when a recipe or a pack may set it.
fn reserved_reason(key: &str) -> Option<&'static str> {
    let key = key.to_uppercase();
    let key = key.trim();
    if key == "STACK_NAME" {
        return Some("names the stack, and abra derives it from the app's name");
    }
    let prefixed = HOST_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    let compose = key.starts_with("COMPOSE_") && key != COMPOSE_FILE;
    let reserved = prefixed || compose || HOST_NAMES.contains(&key);
    reserved.then_some("acts on programs of the host, and no recipe or pack may set it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::recipe::compose::Entry;

    fn objections(sample: &str, script: &str, more: &[(&str, &str)]) -> String {
        let files = [(".env.sample", sample), ("abra.sh", script)];
        let tree: Tree = files.into_iter().map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned()))).collect();
        let domain: Domain = "hello-aebagbaf.taster.test".parse().unwrap();
        let env = Env::parse(sample).unwrap_or_default().with("DOMAIN", domain.as_str());
        let env = more.iter().fold(env, |env, (key, value)| env.with(key, value));
        variable_objections(&tree, &env, &"hello".parse().unwrap(), &domain).join("\n")
    }

    #[test]
    fn ordinary_sample_is_allowed() {
        let sample = "TYPE=hello\nDOMAIN=hello.example.com\nCOMPOSE_FILE=compose.yml\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.db.yml\"\n\
                      #STACK_NAME=x\n# LD_PRELOAD=x\nTEXT='\nLD_PRELOAD=x\nDOMAIN=y\n'\nHOMEPAGE=1\nGITEA_SSH_PORT=2\nLDAP_HOST=a\n\
                      SSHD=1\nHTTP_TIMEOUT=3\nMY_PATH=/x\nDOMAINS=a\nEXTRA_DOMAINS=b\nTRAEFIK_STACK_NAME=t\nLANG=C\nTZ=UTC\nUSER=a\n";
        assert_eq!(objections(sample, "export APP_CONF_VERSION=v1\n", &[("SMTP_HOST", "a")]), "");
        assert_eq!(objections("TYPE=hello:1.0.0+2\nDOMAIN=cloud.example.org\n", "", &[]), "");
        assert_eq!(objections("RECIPE=hello\n", "export PATH=/bin:$PATH\n", &[]), "");
    }

    #[test]
    fn sample_that_acts_on_the_host_is_refused_with_its_line() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DOCKER_HOST",
            "DOCKER_CONFIG",
            "PATH",
            "HOME",
            "COMPOSE_PROJECT_NAME",
            "SSH_AUTH_SOCK",
            "GIT_SSH_COMMAND",
            "XDG_CONFIG_HOME",
            "ABRA_DIR",
            "HTTP_PROXY",
            "http_proxy",
            "Ld_Preload",
            "GODEBUG",
            "SSL_CERT_FILE",
            "BASH_ENV",
            "TMPDIR",
            "TASTER_ABRA",
        ] {
            for line in [format!("{name}=x"), format!("export {name}=x"), format!("  {name} : \"x\""), format!("{name}='a\nb'")] {
                let found = objections(&format!("TYPE=hello\n{line}\n"), "", &[]);
                let expected = format!(
                    ".env.sample, line 2: the variable {name} acts on programs of the host, and no recipe or pack may set it; \
                     remove the line"
                );
                assert_eq!(found, expected, "{line}");
            }
        }
    }

    #[test]
    fn sample_that_says_which_app_it_is_twice_or_wrongly_is_refused() {
        for (sample, expected) in [
            ("A=1\nSTACK_NAME=x", ".env.sample, line 2: the variable STACK_NAME names the stack, and abra derives it"),
            ("stack_name=x", ".env.sample, line 1: the variable stack_name names the stack"),
            ("DOMAIN=a\nDOMAIN=b", ".env.sample, line 2: DOMAIN is set a second time, after line 1 with DOMAIN; remove one"),
            ("DOMAIN=a\nexport DOMAIN: \"b\"", ".env.sample, line 2: DOMAIN is set a second time"),
            ("DOMAIN=a\ndomain=b", ".env.sample, line 2: domain differs from DOMAIN only in upper and lower case"),
            ("TYPE=hello\nTYPE=hello", ".env.sample, line 2: TYPE is set a second time, after line 1 with TYPE"),
            ("TYPE=hello\nRECIPE=hello", ".env.sample, line 2: RECIPE is set a second time, after line 1 with TYPE"),
            ("TYPE=ghost:1.0.0", ".env.sample, line 1: TYPE names the recipe \"ghost:1.0.0\", and this one is hello"),
            ("TYPE=", ".env.sample, line 1: TYPE names the recipe \"\""),
            ("RECIPE=hello2", ".env.sample, line 1: RECIPE names the recipe \"hello2\""),
        ] {
            let found = objections(sample, "", &[]);
            assert!(found.starts_with(expected) && found.lines().count() == 1, "{sample:?}: {found}");
        }
    }

    #[test]
    fn script_and_pack_may_not_set_them_either() {
        for (script, more, expected) in [
            ("export DOMAIN=evil.example.org\n", &[][..], "abra.sh exports DOMAIN, which would replace the app's own"),
            ("export STACK_NAME=x\n", &[], "abra.sh exports STACK_NAME"),
            ("export COMPOSE_FILE=x.yml\n", &[], "abra.sh exports COMPOSE_FILE"),
            ("export LD_PRELOAD=x\n", &[], "abra.sh exports LD_PRELOAD"),
            ("", &[("DOCKER_HOST", "x")], "the variable DOCKER_HOST acts on programs of the host"),
            ("", &[("STACK_NAME", "x")], "the variable STACK_NAME names the stack"),
            ("", &[("DOMAIN", "x.example.org")], "DOMAIN is x.example.org and not hello-aebagbaf.taster.test; only taster sets"),
            ("", &[("TYPE", "other")], "TYPE names the recipe \"other\", and this one is hello"),
        ] {
            let found = objections("", script, more);
            assert!(found.starts_with(expected) && found.lines().count() == 1, "{script:?} {more:?}: {found}");
        }
    }
}
