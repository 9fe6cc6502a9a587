//! What becomes of an app's `.env`, its secrets and abra's temporary files on a real Swarm.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use libtest_mimic::Trial;
use unit_tests::{
    engine::until,
    sandbox_fixture::SandboxFixture,
    test_env::TestEnv,
    test_run::{
        Outcome::{Green, Inconclusive},
        Status::{Pass, Unver},
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            domain_of_the_sample_is_not_the_apps,
            secret_of_head_that_is_inserted_by_hand_is_unverified,
            signal_during_a_deploy_leaves_no_file_outside_of_the_run,
        ],
    )
}

/// Replaces a text in the sample of a recipe's folder.
fn edit_sample(folder: &Path, from: &str, to: &str) {
    let sample = folder.join(".env.sample");
    let text = fs::read_to_string(&sample).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(sample, text.replace(from, to)).unwrap();
}

fn domain_of_the_sample_is_not_the_apps(env: &TestEnv<'_>) {
    let copy = env.copy_of("hello");
    edit_sample(&copy, "DOMAIN=hello.example.com", "DOMAIN=cloud.example.org");

    let run = env.run("hello").path(&copy).tiers("install").expect(Green);

    run.steps(&["verify-compose", "http"], Pass).never_says("cloud.example.org").nothing_left();
}

fn secret_of_head_that_is_inserted_by_hand_is_unverified(env: &TestEnv<'_>) {
    let copy = env.copy_of("hello-secrets");
    edit_sample(&copy, "SECRET_KEY_VERSION=v1 # length=32", "SECRET_KEY_VERSION=v1 # generate=false");

    let run = env.run("hello-secrets").path(&copy).tiers("install,upgrade").args(&["--base", "1.1.0+1.1.0"]).expect(Inconclusive);

    run.exit(3)
        .step("migrate", Unver)
        .says("the secret key must be inserted by hand (generate=false)")
        .says("below [secrets]: key = \"…\"")
        .never_says("secret key v1 is new and was generated")
        .nothing_left();
}

fn signal_during_a_deploy_leaves_no_file_outside_of_the_run(env: &TestEnv<'_>) {
    let programs = env.path().join("programs");
    fs::create_dir(&programs).unwrap();
    // Every other call passes on to the program that comes next in PATH.
    let docker =
        "#!/bin/sh\ncase \"$*\" in *'stack deploy'*) exec /bin/sleep 60;; esac\nPATH=\"${PATH#*:}\" exec docker \"$@\"\n";
    fs::write(programs.join("docker"), docker).unwrap();
    fs::set_permissions(programs.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let abra = format!("PATH='{}':\"$PATH\" exec \"$ABRA\" \"$@\"", programs.display());
    let outside = || {
        let entries = fs::read_dir("/tmp").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        entries.filter(|name| name.starts_with("abra-")).collect::<Vec<_>>()
    };
    let before = outside();
    let mut run = env.run("hello").tiers("install").abra(&abra).start();
    run.reached(r#""event":"step-started","step":"deploy""#);
    let temporary = run.folder().join("abra/tmp");
    until("the stand-in has written its files", || {
        fs::read_dir(&temporary).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
    });

    run.signal("HUP");
    let run = run.finish_soon();

    assert!(!temporary.exists() && outside() == before, "{}: {:?}", temporary.display(), outside());
    run.nothing_left();
}
