//! A new app on a simulated host: its domain, the variables that policy refuses, and the secrets that abra never generates.

use harness::{
    model::{
        outcome::{Status, Tier},
        pack::{Pack, Settings},
    },
    pure::{
        recipe::compose::{Entry, Tree},
        run::verdict::VerdictOutcome,
    },
};
use unit_tests::sim_host::{HostBehaviour, SimHost};

use super::sim_run::run_on;

/// The files of a recipe with a generated secret and one that is inserted by hand, and with this sample.
fn tree(sample: &str) -> Tree {
    let secret = |name: &str, variable: &str| {
        format!("  {name}:\n    external: true\n    name: ${{STACK_NAME}}_{name}_${{SECRET_{variable}_VERSION}}\n")
    };
    let compose = format!(
        "version: \"3.8\"\nservices:\n  app:\n    image: bb:1\n    secrets: [token, smtp_password]\nsecrets:\n{}{}",
        secret("token", "TOKEN"),
        secret("smtp_password", "SMTP_PASSWORD")
    );
    let sample = format!("{sample}\nSECRET_TOKEN_VERSION=v1 # length=32\nSECRET_SMTP_PASSWORD_VERSION=v2 # generate=false\n");
    [("compose.yml", compose), (".env.sample", sample)]
        .map(|(path, text)| (path.to_owned(), Entry::Text(text)))
        .into_iter()
        .collect()
}

fn host(sample: &str, settings: &str) -> SimHost {
    let mut host = SimHost::behaving(HostBehaviour::WORKING);
    host.tree = tree(sample);
    host.pack = Pack { settings: Settings::parse(settings).unwrap(), ..Pack::default() };
    host
}

const OWN: &str = "TYPE=hello\nDOMAIN=hello.example.com";
const GIVEN: &str = "[secrets]\nsmtp_password = \"for {domain}\"\n";

#[test]
fn domain_is_set_whatever_the_sample_says() {
    for sample in [OWN, "TYPE=hello\nDOMAIN=cloud.example.org", "TYPE=hello\nexport DOMAIN: 'a\nb'", "TYPE=hello"] {
        let host = host(sample, GIVEN);

        let run = run_on(host.clone()).case(sample).finish();

        run.step("provision", Status::Pass).step("deploy", Status::Pass);
        assert_eq!(host.app_actions()[0], "DOMAIN=hello-aebagbaf.taster.test", "{sample:?}");
    }
}

#[test]
fn secret_that_abra_never_generates_comes_from_the_pack() {
    let host = host(OWN, GIVEN);

    let run = run_on(host.clone()).finish();

    run.step("provision", Status::Pass).step("deploy", Status::Pass);
    assert!(host.app_actions().contains(&"secret smtp_password v2".to_owned()), "{:?}", host.app_actions());
}

#[test]
fn secret_without_a_value_is_unverified_with_the_line_for_the_pack() {
    let host = host(OWN, "");

    let run = run_on(host.clone()).expect(VerdictOutcome::Inconclusive).nothing_leaked();

    let line = "put a value into its recipe.toml, below [secrets]: smtp_password = \"…\"";
    run.step("provision", Status::Unver).summary(line).tier(Tier::Install, Status::Unver);
    assert!(!host.app_actions().iter().any(|line| line.starts_with("secret smtp_password")), "{:?}", host.app_actions());
}

#[test]
fn sample_and_pack_that_set_what_belongs_to_the_host_are_refused_before_anything_is_made() {
    for (sample, settings, sentence) in [
        ("TYPE=hello\nLD_PRELOAD=/x.so", "", ".env.sample, line 2: the variable LD_PRELOAD acts on programs of the host"),
        ("TYPE=hello\nexport docker_host: x", "", ".env.sample, line 2: the variable docker_host acts on programs of the host"),
        ("TYPE=hello\nSTACK_NAME=other", "", ".env.sample, line 2: the variable STACK_NAME names the stack"),
        ("TYPE=hello\nDOMAIN=a\nDOMAIN=b", "", ".env.sample, line 3: DOMAIN is set a second time"),
        ("TYPE=other", "", ".env.sample, line 1: TYPE names the recipe \"other\", and this one is hello"),
        (OWN, "[env]\nDOCKER_HOST = \"x\"\n", "the variable DOCKER_HOST acts on programs of the host"),
        (OWN, "[env]\nDOMAIN = \"x.example.org\"\n", "DOMAIN is x.example.org and not hello-aebagbaf.taster.test"),
    ] {
        let host = host(sample, settings);

        let run = run_on(host.clone()).case(sample).finish();

        run.expect_with_exit(VerdictOutcome::Inconclusive, 2).reason(sentence).nothing_leaked();
        assert!(host.app_actions().is_empty(), "{:?}", host.app_actions());
    }
}
