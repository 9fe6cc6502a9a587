//! Executables of a repository as custom tests, and kept apps, in whole simulated runs; and the scaffold of a new pack.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use harness::{
    author::{Linked, parity},
    model::{
        names::RecipeName,
        outcome::{Owner, Status, Tier},
        pack::{CustomTest, DatabaseKind, Origin, Settings},
        request::{Authoring, Request},
        tested_app::TestedApp,
    },
    ports::{Executables, Exited, ProgramError, Ran},
    pure::{
        recipe::{
            compose::{Entry, Env, resolve},
            executables::{FileKind, SeenFile},
        },
        run::verdict::VerdictOutcome::{Green, Inconclusive, Red},
    },
};
use runner::pure::scaffold::scaffold;
use unit_tests::{
    event_log::{head, request, tree},
    sim_host::SimHost,
};

use crate::sim_run::{FinishedRun, RunBuilder, run_on};

#[expect(unreachable_pub, reason = "a file of the scaffold, as it is written for an author")]
#[path = "scaffold/health.rs"]
mod health;
#[expect(unreachable_pub, reason = "a file of the scaffold, as it is written for an author")]
#[path = "scaffold/roundtrip.rs"]
mod roundtrip;

const SCRIPT: &str = "tests/a.sh";
const TRUST: &str = "[allow]\nhello = [\"tests\"]";

/// The file `tests/a.sh` of the repository.
#[derive(Debug, Clone, Copy)]
struct Script {
    kind: FileKind,
    exit: i32,
}

#[async_trait]
impl Executables for Script {
    async fn find(&self, _: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        let file = SeenFile { path: SCRIPT.into(), kind: self.kind, first: String::new() };
        Ok(if origin == Origin::Repository { vec![file] } else { Vec::new() })
    }

    async fn execute(&self, test: &CustomTest, _: TestedApp<'_>, _: Duration) -> Result<Ran, ProgramError> {
        assert_eq!(test.file, SCRIPT, "only a file that was found is executed");
        let exited = Exited::Code(self.exit);
        Ok(Ran { exited, answer: None, output: "the queue is empty\n".into(), attachments: Vec::new() })
    }
}

fn executable(exit: i32) -> Script {
    Script { kind: FileKind::Executable, exit }
}

fn host_with(script: Script) -> SimHost {
    let mut host = SimHost::healthy();
    host.executables = Arc::new(script);
    host
}

/// A request that names no tiers.
fn default_request() -> Request {
    Request { authoring: Authoring { default_tiers: true, ..Authoring::default() }, ..request(&[Tier::Install]) }
}

fn run_of(script: Script) -> RunBuilder<'static> {
    run_on(host_with(script)).request(default_request()).case(script)
}

fn tiers_of_verdict(run: &FinishedRun) -> &[Tier] {
    &run.results.verdict.tiers
}

#[test]
fn executable_of_a_trusted_recipe_runs_in_the_custom_tier() {
    let run = run_of(executable(0)).host_line(TRUST).expect(Green).no_owner().step(SCRIPT, Status::Pass).nothing_leaked();

    assert_eq!(tiers_of_verdict(&run), [Tier::Install, Tier::Custom]);
}

#[test]
fn executable_that_fails_is_the_recipes_fault() {
    let run = run_of(executable(1))
        .host_line(TRUST)
        .expect(Red)
        .owner(Owner::Recipe)
        .reason("tests/a.sh: it ended with exit code 1")
        .step(SCRIPT, Status::Fail)
        .nothing_leaked();

    assert_eq!(tiers_of_verdict(&run), [Tier::Install, Tier::Custom]);
}

#[test]
fn executable_that_finds_no_program_is_the_tests_fault() {
    let run = run_of(executable(127))
        .host_line(TRUST)
        .expect(Inconclusive)
        .owner(Owner::Test)
        .reason("a program was not found")
        .step(SCRIPT, Status::Fail)
        .nothing_leaked();

    assert_eq!(tiers_of_verdict(&run), [Tier::Install, Tier::Custom]);
}

#[test]
fn file_without_execute_permission_is_not_verified() {
    let run = run_of(Script { kind: FileKind::Plain, exit: 0 })
        .host_line(TRUST)
        .expect(Inconclusive)
        .no_owner()
        .reason("tests/a.sh is not executable")
        .step(SCRIPT, Status::Unver)
        .nothing_leaked();

    assert_eq!(tiers_of_verdict(&run), [Tier::Install, Tier::Custom]);
}

#[test]
fn executable_of_an_untrusted_recipe_is_not_run() {
    let run = run_of(executable(0))
        .expect(Inconclusive)
        .no_owner()
        .reason("not run unless the recipe is trusted")
        .step(SCRIPT, Status::Unver)
        .nothing_leaked();

    assert_eq!(tiers_of_verdict(&run), [Tier::Install, Tier::Custom]);
}

#[test]
fn trust_on_the_command_line_is_enough() {
    let authoring = Authoring { default_tiers: true, trusted: true, ..Authoring::default() };
    let request = Request { authoring, ..request(&[Tier::Install]) };

    run_of(executable(0)).request(request).expect(Green);
}

#[test]
fn executable_outside_of_the_named_tiers_is_not_run() {
    let run = run_of(executable(0)).request(request(&[Tier::Install])).expect(Green);

    assert_eq!(run.results.step(SCRIPT), None);
}

#[test]
fn recipe_without_tests_has_no_custom_tier_by_default() {
    let run = run_on(SimHost::healthy()).request(default_request()).finish();

    assert_eq!(tiers_of_verdict(&run), [Tier::Install]);
}

/// A run that keeps its app for an hour.
fn keeping_run(host: SimHost) -> RunBuilder<'static> {
    let authoring = Authoring { keep: Some(Duration::from_secs(3600)), ..Authoring::default() };
    run_on(host).request(Request { authoring, ..request(&[Tier::Install]) })
}

#[test]
fn kept_app_stays_and_is_not_leaked() {
    let run = keeping_run(SimHost::healthy()).expect(Green);

    assert!(!run.leaked.is_empty(), "the app is there");
    let kept = run.results.kept.as_ref().expect("the results name the kept app");
    assert_eq!(kept.domain, head().domain);
    assert!(!run.results.claimed.is_empty(), "the app stays claimed, so that the janitor removes it");
    run.step("undeploy", Status::Skip).step("cleanup", Status::Skip).step("compare-host", Status::Skip);
}

#[test]
fn run_that_a_signal_ends_keeps_nothing() {
    let run = keeping_run(SimHost::healthy()).signal(Duration::from_millis(1), 15).finish();

    run.expect_with_exit(Inconclusive, 143).reason("the run was ended by signal 15").nothing_leaked();
}

#[test]
fn run_that_deploys_nothing_keeps_nothing() {
    let mut unfit = SimHost::healthy();
    unfit.engine.rootless = true;

    let run = keeping_run(unfit).finish().nothing_leaked();

    assert!(run.results.kept.is_none(), "{:?}", run.results.kept);
}

/// The files of the scaffold for a recipe with a health check and a database.
fn scaffold_of_shop() -> BTreeMap<&'static str, String> {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    image: shop:1\n    networks: [proxy]\n    healthcheck:\n      \
                   test: curl -f http://localhost:2368/health || exit 1\n  db:\n    image: postgres:16\nnetworks:\n  proxy:\n    external: true\n";
    let tree = tree(None).with("compose.yml", Entry::Text(compose.into()));
    let resolved = resolve(&tree, &Env::default(), &"shop".parse().unwrap()).unwrap();
    scaffold(&"shop".parse().unwrap(), &resolved).into_iter().collect()
}

#[test]
fn scaffold_of_a_pack_is_the_files_that_are_compiled_here() {
    let files = scaffold_of_shop();

    assert_eq!(files["custom/health.rs"], include_str!("scaffold/health.rs"));
    assert_eq!(files["custom/roundtrip.rs"], include_str!("scaffold/roundtrip.rs"));
}

#[test]
fn scaffold_of_a_pack_takes_health_check_and_database_of_the_compose_files() {
    let files = scaffold_of_shop();

    let settings = Settings::parse(&files["recipe.toml"]).unwrap();
    assert_eq!(settings.health_path.as_str(), "/health");
    let databases: Vec<_> = settings.databases.iter().map(|database| (database.service.as_str(), database.kind)).collect();
    assert_eq!(databases, [("db", DatabaseKind::Postgres)]);
}

#[test]
fn parity_page_of_the_scaffold_names_each_of_its_tests() {
    let scaffolded = Linked {
        name: "shop",
        settings: "",
        overlay: None,
        suites: &[("custom/health.rs", health::suite), ("custom/roundtrip.rs", roundtrip::suite)],
        lifecycle: None,
        parity: None,
        warnings: &[],
    };

    let pack = scaffolded.pack().unwrap();
    let parity = parity(&scaffold_of_shop()["PARITY.md"], &pack);

    assert_eq!(pack.tests.len(), 2);
    assert_eq!((parity.named, parity.deferred, parity.wrong), (2, 0, Vec::new()));
}
