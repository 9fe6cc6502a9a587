//! Real Ghost on a real database, through every tier. To assemble its images takes minutes and a registry of packages, so the test runs when
//! they are on the engine already, or by a command of its own: `cargo test -p unit-tests --test e2e ghost`.

use libtest_mimic::Trial;
use unit_tests::{sandbox_fixture::SandboxFixture, test_env::TestEnv};

use super::{
    runs::{on_stages, stage_of},
    tell,
};

/// The test of this file. `asked` says whether it was asked for by its name.
pub(crate) fn tests(fixture: Option<&SandboxFixture>, asked: bool) -> Vec<Trial> {
    let tests = on_stages(fixture, &[("ghost::a_post_outlives_an_upgrade_and_comes_back_with_a_restore", ghost)]);
    let missing = fixture.and_then(|fixture| {
        let images = sandbox::recipes::images("ghost");
        images.into_iter().find(|image| !fixture.engine.ok(&["image", "inspect", image]))
    });
    match missing.filter(|_| !asked) {
        None => tests,
        Some(image) => {
            tell(&format!(
                "the test of Ghost is not run: {image} is not there; `cargo test -p unit-tests --test e2e ghost` makes it"
            ));
            tests.into_iter().map(|test| test.with_ignored_flag(true).with_kind("not run")).collect()
        }
    }
}

fn ghost(env: &TestEnv<'_>) {
    let told = env.run(&["--recipe", "ghost", "--tiers", "install,upgrade,backup,restore,custom"]);
    told.assert(0, &["green (install, upgrade, backup, restore, custom)", "level 5", "left behind: nothing"]);
    let results = env.results();
    assert_eq!(results["level"], 5, "{results}");
    assert_eq!(results["base"]["version"], "1.2.0+6.64.0-alpine", "{results}");
    for step in ["seed", "check-upgrade", "check-restore"] {
        assert_eq!(stage_of(&results, step)["status"], "pass", "{results}");
    }
    let canaries = results["canaries"].as_array().expect("canaries");
    for name in ["a post", "a row in the MariaDB or MySQL database of db", "a file in volume ghost_content"] {
        let canary = canaries.iter().find(|canary| canary["name"] == name).unwrap_or_else(|| panic!("no {name}: {results}"));
        for moment in ["seeded", "after-upgrade", "corrupted", "after-restore"] {
            assert_eq!(canary["seen"][moment]["status"], "pass", "{name}, {moment}: {results}");
        }
    }
    assert_eq!(stage_of(&results, "site::a post that was published is read on its page")["status"], "pass", "{results}");
    env.assert_zero();
}
