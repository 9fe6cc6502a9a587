//! Lint in whole runs on a real Swarm: errors of head, errors that base has too, and a lint that cannot be read.

use libtest_mimic::Trial;
use serde_json::json;
use unit_tests::{
    sandbox_fixture::SandboxFixture,
    test_env::TestEnv,
    test_run::{
        Outcome::{Green, Inconclusive, Red},
        Status::{Fail, Pass, Unver},
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            hello_has_no_lint_errors,
            lint_error_introduced_by_head_is_red,
            lint_error_of_head_and_base_is_green_with_a_warning,
            linter_that_fails_is_inconclusive,
            linter_that_prints_no_table_is_inconclusive,
            linter_that_hangs_is_ended_and_inconclusive,
        ],
    )
}

fn hello_has_no_lint_errors(env: &TestEnv<'_>) {
    let run = env.run("hello").tiers("install").expect(Green);

    let run = run
        .says("green (install)")
        .says("lint-base: passed")
        .says("lint: passed")
        .rung("lint", Pass)
        .value("/lint/status", "pass")
        .value("/lint/against", "1.1.0+1.1.0")
        .value("/lint/introduced", json!([]))
        .that("lint has 16 rules", |results| results["lint"]["rules"].as_array().map(Vec::len) == Some(16))
        .file("lint.txt", "R016")
        .nothing_left();
    assert!(!run.read("lint.txt").contains("critical errors"), "{}", run.read("lint.txt"));
    for folder in ["lint-head", "lint-base"] {
        assert!(!run.folder.join(folder).exists(), "{folder} is gone");
    }
}

fn lint_error_introduced_by_head_is_red(env: &TestEnv<'_>) {
    let run = env.run("hello-lint").expect(Red);

    let run = run
        .says("red (install, upgrade, backup, restore")
        .says("why (recipe)")
        .says("head has lint errors, base 1.1.0+1.1.0 does not have them: R011 (all services have images)")
        .says("look at: lint.txt")
        .tier("install", Pass)
        .tier("upgrade", Pass)
        .rung("lint", Fail)
        .value("/lint/introduced", json!(["R011"]))
        .step("lint", Fail)
        .owned_by("recipe")
        .nothing_left();
    let junit = run.read("junit.xml");
    assert_eq!((junit.matches("<failure").count(), junit.matches("classname=\"lint\"").count()), (1, 1), "{junit}");
}

fn lint_error_of_head_and_base_is_green_with_a_warning(env: &TestEnv<'_>) {
    let run = env.run("hello-lint-old").expect(Green);

    run.says("green (install, upgrade, backup, restore")
        .says("warning: head has lint errors, base 1.1.0+1.1.0 has them too")
        .says("head has errors that base has too: R011 (all services have images)")
        .rung("lint", Fail)
        .value("/lint/introduced", json!([]))
        // abra refuses to deploy base by its version.
        .remark("base 1.1.0+1.1.0 was deployed as it is checked out: abra pins nothing with lint errors")
        .nothing_left();
}

/// A run whose head is linted by the shell line `linter`; everything else is the sandbox's abra.
fn linter_is_inconclusive(env: &TestEnv<'_>, linter: &str, why: &str) {
    let abra = format!("case \"$ABRA_DIR $*\" in *lint-head*'recipe lint'*) {linter};; esac\nexec \"$ABRA\" \"$@\"");

    let run = env.run("hello").tiers("install").abra(&abra).expect(Inconclusive);

    run.exit(3)
        .says("inconclusive (install passed)")
        .says("lint is not verified: ")
        .says(why)
        .tier("install", Pass)
        .rung("lint", Unver)
        .nothing_left();
}

fn linter_that_fails_is_inconclusive(env: &TestEnv<'_>) {
    let linter = "echo 'FATA authentication required: Unauthorized'; exit 1";
    linter_is_inconclusive(env, linter, "authentication required: Unauthorized");
}

fn linter_that_prints_no_table_is_inconclusive(env: &TestEnv<'_>) {
    linter_is_inconclusive(env, "echo 'all is well'; exit 0", "there is no table of rules");
}

fn linter_that_hangs_is_ended_and_inconclusive(env: &TestEnv<'_>) {
    linter_is_inconclusive(env, "echo linting; sleep 1000", "abra did not end within");
}
