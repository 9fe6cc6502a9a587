//! Real Ghost on a real database, through every tier. Its images take minutes and a registry of packages, so the test runs when
//! they are on the engine already, or when the filter names it: `cargo test -p unit-tests --test e2e ghost`.

use libtest_mimic::Trial;
use unit_tests::{
    sandbox_fixture::SandboxFixture,
    test_env::TestEnv,
    test_run::{
        Moment::{AfterRestore, AfterUpgrade, Corrupted, Seeded},
        Outcome::Green,
        Status::Pass,
    },
};

use crate::{
    print_notice,
    trials::{e2e_tests, in_env, not_run},
};

/// The test of this file. `named` is whether the filter names it.
pub(crate) fn tests(fixture: Option<&SandboxFixture>, named: bool) -> Vec<Trial> {
    let tests = in_env(fixture, &e2e_tests![post_survives_an_upgrade_and_comes_back_with_a_restore]);
    let missing = fixture.and_then(|fixture| {
        let images = sandbox::recipes::images("ghost");
        images.into_iter().find(|image| !fixture.engine.ok(&["image", "inspect", image]))
    });
    match missing.filter(|_| !named) {
        None => tests,
        Some(image) => {
            print_notice(&format!(
                "the test of Ghost is not run: {image} is not there; `cargo test -p unit-tests --test e2e ghost` makes it"
            ));
            not_run(tests)
        }
    }
}

fn post_survives_an_upgrade_and_comes_back_with_a_restore(env: &TestEnv<'_>) {
    let run = env.run("ghost").tiers("install,upgrade,backup,restore,custom").expect(Green);

    let always = [(Seeded, Pass), (AfterUpgrade, Pass), (Corrupted, Pass), (AfterRestore, Pass)];
    run.says("green (install, upgrade, backup, restore, custom)")
        .says("level 5")
        .level(5)
        .value("/base/version", "1.2.0+6.64.0-alpine")
        .steps(&["seed", "check-upgrade", "check-restore"], Pass)
        .canary("a post", &always)
        .canary("a row in the MariaDB or MySQL database of db", &always)
        .canary("a file in volume ghost_content", &always)
        .step("site::a post that was published is read on its page", Pass)
        .nothing_left();
}
