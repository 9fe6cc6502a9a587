//! Policy at the moment of a deploy, and of what runs after it.

use std::{fs, path::Path};

use libtest_mimic::Trial;
use unit_tests::{
    recipe::git,
    sandbox_fixture::{self, IMAGE, SandboxFixture},
    test_env::{TestEnv, journal},
    test_run::{
        Outcome::Inconclusive,
        Status::{Pass, Unver},
    },
};

use crate::trials::{e2e_tests, in_env};

/// The tests of this file.
pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            value_of_base_that_would_mount_the_host_under_head_is_refused,
            service_that_runs_with_more_power_than_policy_allows_ends_the_run,
            service_that_runs_with_another_variable_is_not_verified,
            option_among_the_words_of_a_command_is_refused_before_anything_runs,
            death_by_the_default_limit_of_memory_is_not_the_recipes,
        ],
    )
}

/// A recipe of one service that answers over HTTP.
fn compose(version: &str, command: &str, body: &str, rest: &str) -> String {
    format!(
        r#"---
version: "3.8"
services:
  app:
    image: {IMAGE}
    command: sh -c "{command}"
    stop_grace_period: 0s
    networks: [proxy]
{body}    deploy:
      labels:
        - "traefik.enable=true"
        - "traefik.http.services.${{STACK_NAME}}.loadbalancer.server.port=80"
        - "traefik.http.routers.${{STACK_NAME}}.rule=Host(`${{DOMAIN}}`)"
        - "coop-cloud.${{STACK_NAME}}.version={version}"
        - "extra=${{EXTRA}}"
networks:
  proxy:
    external: true
{rest}"#
    )
}

const SERVE: &str = "mkdir -p /www && echo page > /www/index.html && exec httpd -f -p 80 -h /www";
const SAMPLE: &str = "TYPE=page\nDOMAIN=page.example.com\nLETS_ENCRYPT_ENV=production\n";

/// The sandbox's abra of this build, which does `after` once it has deployed; `$stack` is the stack.
fn abra_with(env: &TestEnv<'_>, after: &str) -> String {
    let (exe, home) = (sandbox_fixture::env().exe, env.fixture.sandbox().to_owned());
    let abra = format!("'{}' sandbox abra --home '{}' -- \"$@\"", exe.display(), home.display());
    format!(
        "case \"$*\" in *'app deploy'*) {abra} || exit $?; for last; do :; done; stack=$(echo \"$last\" | tr . _); {after};; \
         *) exec {abra};; esac"
    )
}

/// The variable is a label of base and a volume of head, and an operator's value stays when an app is upgraded.
fn value_of_base_that_would_mount_the_host_under_head_is_refused(env: &TestEnv<'_>) {
    let folder = env.recipe("page", &compose("1.0.0+1.0.0", SERVE, "", ""), &format!("{SAMPLE}EXTRA=/etc\n"));
    git(&folder, &["init", "--quiet", "--initial-branch=main"]);
    commit(&folder, "base");
    git(&folder, &["tag", "-a", "1.0.0+1.0.0", "-m", "1.0.0+1.0.0"]);
    let head = compose("1.1.0+1.0.0", SERVE, "    volumes: [\"${EXTRA}:/extra\"]\n", "volumes:\n  extra:\n");
    fs::write(folder.join("compose.yml"), head).unwrap();
    fs::write(folder.join(".env.sample"), format!("{SAMPLE}EXTRA=extra\n")).unwrap();
    commit(&folder, "head");

    let run = env.run("page").path(&folder).tiers("install,upgrade").finish();

    run.exit(2)
        .expect(Inconclusive)
        .says("service app mounts /etc of the node at /extra; where that is meant, allow host-binds for this recipe")
        .steps(&["deploy", "verify-compose"], Pass)
        .step("upgrade", Unver)
        .gap("not-permitted")
        .deploys(1)
        .nothing_left();
}

fn commit(folder: &Path, message: &str) {
    git(folder, &["add", "--all"]);
    git(folder, &["-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", message]);
}

fn service_that_runs_with_more_power_than_policy_allows_ends_the_run(env: &TestEnv<'_>) {
    let folder = env.recipe("page", &compose("1.0.0+1.0.0", SERVE, "", ""), SAMPLE);
    let mount = "docker service update --detach --mount-add type=bind,source=/etc,target=/host ${stack}_app";

    let run = env.run("page").path(&folder).tiers("install").abra(&abra_with(env, mount)).finish();

    run.exit(2)
        .expect(Inconclusive)
        .says("service app runs and mounts /etc of the node at /host; where that is meant, allow host-binds for this recipe")
        .step("deploy", Unver)
        .gap("not-permitted")
        .nothing_left();
}

fn service_that_runs_with_another_variable_is_not_verified(env: &TestEnv<'_>) {
    let folder = env.recipe("page", &compose("1.0.0+1.0.0", SERVE, "", ""), SAMPLE);
    let variable = "docker service update --detach --env-add INTRUDER=secret-of-none ${stack}_app";

    let run = env.run("page").path(&folder).tiers("install").abra(&abra_with(env, variable)).expect(Inconclusive);

    run.exit(3)
        .step("verify-compose", Unver)
        .gap("resolver-disagrees")
        .says("Env[INTRUDER] of app is there, and by its files absent")
        .never_says("secret-of-none")
        .nothing_left();
}

fn option_among_the_words_of_a_command_is_refused_before_anything_runs(env: &TestEnv<'_>) {
    let sample = format!("{SAMPLE}POST_DEPLOY_CMDS=\"--local evil\"\n");
    let folder = env.recipe("page", &compose("1.0.0+1.0.0", SERVE, "", ""), &sample);
    fs::write(folder.join("abra.sh"), "evil() {\n  touch /tmp/evil\n}\n").unwrap();

    let run = env.run("page").path(&folder).tiers("install").finish();

    let run = run.exit(2).says("POST_DEPLOY_CMDS has `--local evil`, in which --local is an option").deploys(0);
    assert!(!journal(&run.folder).contains("abra app-deploy"), "nothing is deployed");
    env.assert_nothing_left();
}

fn death_by_the_default_limit_of_memory_is_not_the_recipes(env: &TestEnv<'_>) {
    let folder = env.recipe("page", &compose("1.0.0+1.0.0", "tail /dev/zero", "", ""), SAMPLE);
    let limits = "[limits.app]\nmemory_mib = 16\n";

    let run = env.run("page").path(&folder).tiers("install").host_lines(limits).expect(Inconclusive);

    run.exit(3)
        .owner("infrastructure")
        .says("it used more than 16 MiB of memory, which is limits.app.memory_mib of the host file")
        .nothing_left();
}
