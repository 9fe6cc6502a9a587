//! Lint in whole runs on a real Swarm.

use std::fs;

use libtest_mimic::Trial;
use unit_tests::{sandbox_fixture::SandboxFixture, test_env::TestEnv};

use crate::runs::{on_stages, stage_of};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    on_stages(
        fixture,
        &[
            ("lint::hello_is_free_of_lint_errors", clean),
            ("lint::an_error_that_head_introduced_is_red_though_the_app_is_well", introduced),
            ("lint::an_error_that_base_has_too_is_told_and_green", there_before),
            ("lint::a_linter_that_fails_proves_nothing", broken),
            ("lint::a_linter_that_prints_something_else_proves_nothing", unreadable),
            ("lint::a_linter_that_hangs_is_ended_and_proves_nothing", hanging),
        ],
    )
}

fn clean(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello", "--tiers", "install"]);
    told.assert(0, &["green (install)", "lint-base: passed", "lint: passed"]);
    let results = env.results();
    assert_eq!((&results["rungs"]["lint"], &results["lint"]["status"]), (&"pass".into(), &"pass".into()), "{results}");
    assert_eq!((&results["lint"]["against"], &results["lint"]["introduced"]), (&"1.1.0+1.1.0".into(), &serde_json::json!([])));
    assert_eq!(results["lint"]["rules"].as_array().map(Vec::len), Some(16), "{results}");
    let printed = fs::read_to_string(env.only_run().join("lint.txt")).unwrap();
    assert!(printed.contains("R016") && !printed.contains("critical errors"), "{printed}");
    for folder in ["lint-head", "lint-base"] {
        assert!(!env.only_run().join(folder).exists(), "{folder} is gone");
    }
    env.assert_zero();
}

fn introduced(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello-lint"]);
    let sentence = "head has lint errors, base 1.1.0+1.1.0 does not have them: R011 (all services have images)";
    told.assert(1, &["red (install, upgrade, backup, restore", "why (recipe)", sentence, "look at: lint.txt"]);
    let results = env.results();
    assert_eq!((&results["results"]["install"], &results["results"]["upgrade"]), (&"pass".into(), &"pass".into()), "{results}");
    assert_eq!((&results["rungs"]["lint"], &results["lint"]["introduced"]), (&"fail".into(), &serde_json::json!(["R011"])));
    assert_eq!(stage_of(&results, "lint")["owner"], "recipe");
    let junit = fs::read_to_string(env.only_run().join("junit.xml")).unwrap();
    assert_eq!((junit.matches("<failure").count(), junit.matches("classname=\"lint\"").count()), (1, 1), "{junit}");
    env.assert_zero();
}

fn there_before(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "hello-lint-old"]);
    let both = "head has errors that base has too: R011 (all services have images)";
    told.assert(
        0,
        &["green (install, upgrade, backup, restore", "warning: head has lint errors, base 1.1.0+1.1.0 has them too", both],
    );
    let results = env.results();
    assert_eq!(
        (&results["rungs"]["lint"], &results["lint"]["introduced"]),
        (&"fail".into(), &serde_json::json!([])),
        "{results}"
    );
    // abra would have refused to deploy base by its version.
    let remarks = results["remarks"].to_string();
    assert!(
        remarks.contains("base 1.1.0+1.1.0 was deployed as it is checked out: abra pins nothing with lint errors"),
        "{remarks}"
    );
    env.assert_zero();
}

/// A run whose head is linted by something else; all else is the sandbox's abra.
fn with(env: &TestEnv<'_>, linter: &str, why: &str) {
    let script = format!("case \"$ABRA_DIR $*\" in *lint-head*'recipe lint'*) {linter};; esac\nexec \"$ABRA\" \"$@\"");
    let abra = env.script(&script);
    let told = env.run_on(&[("abra", &abra)], &["--recipe", "hello", "--tiers", "install"]);
    told.assert(3, &["inconclusive (install)", "lint is not verified: ", why]);
    let results = env.results();
    assert_eq!((&results["results"]["install"], &results["rungs"]["lint"]), (&"pass".into(), &"unver".into()), "{results}");
    env.assert_zero();
}

fn broken(env: &TestEnv<'_>) {
    with(env, "echo 'FATA authentication required: Unauthorized'; exit 1", "authentication required: Unauthorized");
}

fn unreadable(env: &TestEnv<'_>) {
    with(env, "echo 'all is well'; exit 0", "there is no table of rules");
}

fn hanging(env: &TestEnv<'_>) {
    with(env, "echo linting; sleep 1000", "abra did not end within");
}
