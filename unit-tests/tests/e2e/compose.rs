//! The resolver on a real Swarm: it resolves a recipe as Docker does, and the recordings match the present Docker.

use std::{collections::BTreeMap, path::Path, process::Command};

use harness::{
    adapters::swarm::DockerSwarm,
    model::names::{ServiceName, StackName},
    ports::Swarm,
    pure::{
        host::converge::ServiceView,
        recipe::compose::{Entry, Env, Kernel, Resolved, Tree, compare_with_services, resolve},
    },
};
use libtest_mimic::Trial;
use sandbox::home::Home;
use unit_tests::{
    engine::{Engine, printed},
    sandbox_fixture,
};

use crate::{
    abra::block_on,
    trials::{e2e_tests, on_engine},
};

/// The tests of this file.
pub(crate) fn tests(engine: &Engine) -> Vec<Trial> {
    on_engine(
        engine,
        &e2e_tests![
            every_recipe_runs_as_its_files_are_resolved,
            change_of_a_live_service_is_found,
            docker_resolves_the_cases_as_recorded,
        ],
    )
}

fn git(repository: &Path, args: &[&str]) -> String {
    printed(Command::new("git").arg("--git-dir").arg(repository).args(args), args)
}

/// The files of a repository's branch.
fn tree(repository: &Path) -> Tree {
    let listed = git(repository, &["ls-tree", "-r", "--name-only", "main"]);
    let files = listed.lines().map(|path| {
        let text = git(repository, &["show", &format!("main:{path}")]);
        (path.to_owned(), Entry::Text(text + "\n"))
    });
    files.collect()
}

fn observe(engine: &Engine, stack: &StackName) -> BTreeMap<ServiceName, ServiceView> {
    block_on(async { DockerSwarm::at(engine.socket()).unwrap().observe(stack).await.unwrap() })
}

/// The variables of an app made of the recipe's sample.
fn sample(tree: &Tree, stack: &str) -> Env {
    let Some(Entry::Text(text)) = tree.entry(".env.sample") else { panic!("no .env.sample") };
    Env::parse(text).unwrap().with("DOMAIN", &format!("{stack}.test")).with("LETS_ENCRYPT_ENV", "")
}

/// Deploys the files with Docker itself, which gets the variables through its own environment.
fn deploy(engine: &Engine, tree: &Tree, env: &Env, resolved: &Resolved) {
    let folder = tempfile::tempdir().unwrap();
    for path in tree.paths() {
        let Some(Entry::Text(text)) = tree.entry(path) else { continue };
        let place = folder.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, text).unwrap();
    }
    for secret in resolved.secrets().unwrap() {
        engine.secret(&secret.full_name);
    }
    // The shell reads `abra.sh`, so that the expectation does not depend on the resolver's reading of it.
    let script = ". ./abra.sh && exec docker --host \"$ENGINE\" stack deploy --resolve-image never --detach=true \"$@\"";
    let mut deploy = Command::new("sh");
    deploy.env_clear().env("PATH", sandbox_fixture::env().path).envs(env.iter()).env("STACK_NAME", resolved.stack.as_str());
    deploy.env("ENGINE", format!("unix://{}", engine.socket().display())).args(["-ec", script, "sh"]);
    for file in env.get("COMPOSE_FILE").unwrap_or("compose.yml").split(':') {
        deploy.args(["-c", file]);
    }
    deploy.arg(resolved.stack.as_str()).current_dir(folder.path());
    printed(&mut deploy, &["stack", "deploy"]);
}

/// Deploys a tree. Returns its resolved compose files and the running services.
fn live(engine: &Engine, tree: &Tree, stack: &str) -> (Resolved, BTreeMap<ServiceName, ServiceView>) {
    let env = sample(tree, stack);
    let resolved = resolve(tree, &env, &stack.parse().unwrap()).unwrap();
    deploy(engine, tree, &env, &resolved);
    let live = observe(engine, &resolved.stack);
    (resolved, live)
}

fn every_recipe_runs_as_its_files_are_resolved(engine: &Engine) {
    let home = Home::at(sandbox_fixture::env().sandbox());
    for recipe in sandbox::recipes::all() {
        let tree = tree(&home.recipes().join(&recipe));
        engine.on_a_stack(|stack| {
            let (resolved, live) = live(engine, &tree, stack);
            assert!(!live.is_empty(), "{recipe} has services");
            assert_eq!(compare_with_services(&resolved, &live, Kernel::Ipvs), [], "{recipe}");
        });
    }
}

const COMPOSE: &str = r#"version: "3.8"
services:
  app:
    image: taster.test/busybox:1.35.0
    command: sleep 1000
    stop_grace_period: 1s
    healthcheck: {test: ["CMD", "true"], interval: 7s}
    ports: [{target: 80, published: 18473, mode: host}]
    deploy:
      replicas: 0
      labels: {own: "${DOMAIN}"}
      update_config: {parallelism: 2, order: stop-first}
      restart_policy: {condition: on-failure, max_attempts: 2}
  all:
    image: taster.test/busybox:1.35.0
    command: sleep 1000
    deploy: {mode: global, endpoint_mode: dnsrr, placement: {constraints: ["node.labels.none == such"]}}
"#;

fn files(compose: &str) -> Tree {
    let text = |text: &str| Entry::Text(text.to_owned());
    let files = [("compose.yml", text(compose)), (".env.sample", text("DOMAIN=\n")), ("abra.sh", text("\n"))];
    files.into_iter().map(|(path, entry)| (path.to_owned(), entry)).collect()
}

fn change_of_a_live_service_is_found(engine: &Engine) {
    engine.on_a_stack(|stack| {
        let (resolved, live) = live(engine, &files(COMPOSE), stack);
        assert_eq!(compare_with_services(&resolved, &live, Kernel::Ipvs), []);
        for (from, to, field) in [
            ("replicas: 0", "replicas: 3", "mode"),
            ("interval: 7s", "interval: 8s", "health"),
            ("healthcheck: {", "healthcheck: {retries: 9, ", "health"),
            ("parallelism: 2", "parallelism: 1", "update"),
            ("max_attempts: 2", "max_attempts: 3", "restart"),
            ("published: 18473", "published: 18474", "host ports"),
            ("own: \"", "own: \"x", "label own"),
            ("busybox:1.35.0\n    command: sleep 1000\n    stop", "busybox:1.36.0\n    command: sleep 1000\n    stop", "image"),
            ("endpoint_mode: dnsrr", "endpoint_mode: vip", "endpoint"),
            ("  all:", "  other:", "service"),
        ] {
            let changed = COMPOSE.replace(from, to);
            assert_ne!(changed, COMPOSE, "{from}");
            let tree = files(&changed);
            let ours = resolve(&tree, &sample(&tree, stack), &stack.parse().unwrap()).unwrap();
            let found = compare_with_services(&ours, &live, Kernel::Ipvs);
            assert!(!found.is_empty() && found.iter().all(|difference| difference.field == field), "{to}: {found:?}");
        }
    });
}

/// A client of another version may format its output differently, so the contents are compared, version by version.
fn docker_resolves_the_cases_as_recorded(engine: &Engine) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose");
    if !engine.ok(&["stack", "config", "--help"]) {
        panic!("this docker client has no `docker stack config`; the recordings cannot be made again with it");
    }
    let out = tempfile::tempdir().unwrap();
    let mut record = Command::new(cases.join("record.sh"));
    printed(record.env("OUT", out.path()), &["record.sh"]);
    let without_client = |text: String| text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    let recorded = std::fs::read_dir(&cases).unwrap().map(Result::unwrap).filter(|case| case.path().is_dir());
    let recorded: Vec<_> = recorded.collect();
    assert!(!recorded.is_empty(), "there are cases");
    for case in recorded {
        let name = case.file_name().to_string_lossy().into_owned();
        let recorded = std::fs::read_to_string(case.path().join("expected.yml")).unwrap();
        let today = std::fs::read_to_string(out.path().join(format!("{name}.yml"))).unwrap();
        assert_eq!(without_client(today), without_client(recorded), "{name}");
    }
}
