//! Custom tests from outside of the tree, and apps that outlive their run, on a simulated host; and the first pack of a recipe.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use harness::{
    author::{Linked, parity},
    model::{
        head::Head,
        names::RecipeName,
        outcome::{Owner, Status, Tier},
        pack::{CustomTest, DatabaseKind, Origin, Settings},
        request::{Authoring, Request},
    },
    ports::{Executables, Exited, ProgramError, Ran},
    pure::{
        recipe::{
            compose::resolve,
            executables::{FileKind, SeenFile},
        },
        run::verdict::VerdictOutcome::{Green, Inconclusive, Red},
    },
};
use runner::pure::scaffold::scaffold;
use unit_tests::{
    event_log::{head, pack, request, tree},
    sim_host::{Manners, SimHost},
};

use crate::run::{RunOutcome, asked, check};

#[expect(unreachable_pub, reason = "it is what an author is given, as it is written")]
#[path = "scaffold/health.rs"]
mod health;
#[expect(unreachable_pub, reason = "it is what an author is given, as it is written")]
#[path = "scaffold/roundtrip.rs"]
mod roundtrip;

const ZONE: &str = "zone = \"taster.test\"\n";
const TRUSTED: &str = "zone = \"taster.test\"\n[allow]\nhello = [\"tests\"]\n";

/// Executables of the repository, each with what it is and how it ends.
struct Scripts(Vec<(&'static str, FileKind, i32)>);

#[async_trait]
impl Executables for Scripts {
    async fn find(&self, _: &RecipeName, origin: Origin) -> Result<Vec<SeenFile>, ProgramError> {
        let files = self.0.iter().filter(|_| origin == Origin::Repository);
        Ok(files.map(|(path, kind, _)| SeenFile { path: (*path).into(), kind: *kind, first: String::new() }).collect())
    }

    async fn execute(&self, test: &CustomTest, _: &Head, _: Duration) -> Result<Ran, ProgramError> {
        let found = self.0.iter().find(|(path, ..)| *path == test.file);
        let (_, _, code) = found.expect("only what was found is run");
        Ok(Ran { exited: Exited::Code(*code), answer: None, output: "the queue is empty\n".into(), attachments: Vec::new() })
    }
}

fn host(scripts: Vec<(&'static str, FileKind, i32)>) -> SimHost {
    let mut host = SimHost::healthy(Manners::default());
    host.executables = Arc::new(Scripts(scripts));
    host
}

fn usual() -> Request {
    Request { authoring: Authoring { default_tiers: true, ..Authoring::default() }, ..request(&[Tier::Install]) }
}

fn statuses(told: &RunOutcome) -> BTreeMap<&str, Status> {
    told.results.all_steps().map(|(_, step)| (step.name.as_str(), step.status)).collect()
}

#[test]
fn an_executable_is_a_test_of_the_custom_tier() {
    use FileKind::{Executable, Plain};
    for (host_file, kind, code, status, colour, owner, why) in [
        (TRUSTED, Executable, 0, Status::Pass, Green, None, ""),
        (TRUSTED, Executable, 1, Status::Fail, Red, Some(Owner::Recipe), "tests/a.sh: it ended with exit code 1"),
        (TRUSTED, Executable, 127, Status::Fail, Inconclusive, Some(Owner::Test), "a program was not found"),
        (TRUSTED, Plain, 0, Status::Unver, Inconclusive, None, "tests/a.sh is not executable"),
        (ZONE, Executable, 0, Status::Unver, Inconclusive, None, "not run unless the recipe is trusted"),
    ] {
        let told = asked(host(vec![("tests/a.sh", kind, code)]), host_file, usual(), None);
        assert_eq!((told.colour, told.results.owner), (colour, owner), "{}", told.why);
        assert!(told.why.contains(why), "{}", told.why);
        assert_eq!(statuses(&told).get("tests/a.sh"), Some(&status), "{}", told.why);
        assert_eq!(told.results.verdict.tiers, [Tier::Install, Tier::Custom], "the verdict speaks of what was found");
        assert!(told.left.is_empty());
    }
}

#[test]
fn one_word_on_the_command_line_trusts_too_and_tiers_that_are_named_are_kept_to() {
    let trusted = Authoring { default_tiers: true, trusted: true, ..Authoring::default() };
    let request = Request { authoring: trusted, ..request(&[Tier::Install]) };
    let scripts = || host(vec![("tests/a.sh", FileKind::Executable, 0)]);
    assert_eq!(asked(scripts(), ZONE, request, None).colour, Green);
    let told = asked(scripts(), ZONE, unit_tests::event_log::request(&[Tier::Install]), None);
    assert_eq!((told.colour, statuses(&told).get("tests/a.sh")), (Green, None), "only the install was asked for");
    let told = asked(host(Vec::new()), ZONE, usual(), None);
    assert_eq!(told.results.verdict.tiers, [Tier::Install], "a recipe without tests is not asked for them");
}

fn keeping() -> Request {
    let keep = Authoring { keep: Some(Duration::from_secs(3600)), ..Authoring::default() };
    Request { authoring: keep, ..request(&[Tier::Install]) }
}

#[test]
fn a_kept_app_stays_and_is_no_residue() {
    let told = asked(host(Vec::new()), ZONE, keeping(), None);
    assert_eq!((told.colour, told.exit), (Green, 0), "{}", told.why);
    assert!(!told.left.is_empty(), "the app is there");
    let kept = told.results.kept.as_ref().expect("the results say so");
    assert_eq!(kept.domain, head().domain);
    assert!(!told.results.claimed.is_empty(), "what is there is claimed, so that the janitor sweeps it");
    for step in ["undeploy", "cleanup", "compare-host"] {
        assert_eq!(statuses(&told)[step], Status::Skip, "{step}");
    }
}

#[test]
fn a_run_that_is_ended_early_keeps_nothing() {
    let told = asked(host(Vec::new()), ZONE, keeping(), Some((Duration::from_millis(1), 15)));
    check(told, Inconclusive, 143, "the run was ended by signal 15");
}

#[test]
fn a_run_that_deploys_nothing_keeps_nothing() {
    let mut host = host(Vec::new());
    host.engine.rootless = true;
    let told = asked(host, ZONE, keeping(), None);
    assert!(told.left.is_empty() && told.results.kept.is_none(), "{:?}", told.left);
}

/// The files that are compiled into this program are those that are written.
#[test]
fn the_first_pack_compiles_lists_and_says_what_is_not_written() {
    let compose = "version: \"3.8\"\nservices:\n  app:\n    image: shop:1\n    networks: [proxy]\n    healthcheck:\n      \
                   test: curl -f http://localhost:2368/health || exit 1\n  db:\n    image: postgres:16\nnetworks:\n  proxy:\n    external: true\n";
    let tree = tree(None).with("compose.yml", harness::pure::recipe::compose::Entry::Text(compose.into()));
    let resolved = resolve(&tree, &harness::pure::recipe::compose::Env::default(), &"shop".parse().unwrap()).unwrap();
    let files: BTreeMap<&str, String> = scaffold(&"shop".parse().unwrap(), &resolved).into_iter().collect();
    assert_eq!(files["custom/health.rs"], include_str!("scaffold/health.rs"));
    assert_eq!(files["custom/roundtrip.rs"], include_str!("scaffold/roundtrip.rs"));
    let settings = Settings::parse(&files["recipe.toml"]).unwrap();
    assert_eq!(settings.health_path.as_str(), "/health");
    let databases: Vec<_> = settings.databases.iter().map(|database| (database.service.as_str(), database.kind)).collect();
    assert_eq!(databases, [("db", DatabaseKind::Postgres)]);

    let linked = Linked {
        name: "shop",
        settings: "",
        overlay: None,
        suites: &[("custom/health.rs", health::suite), ("custom/roundtrip.rs", roundtrip::suite)],
        lifecycle: None,
        parity: None,
        warnings: &[],
    };
    let pack = linked.pack().unwrap();
    assert_eq!(pack.tests.len(), 2);
    let told = parity(&files["PARITY.md"], &pack);
    assert_eq!((told.named, told.deferred, told.wrong), (2, 0, Vec::new()));
}

#[test]
fn a_test_that_nobody_has_written_is_not_verified() {
    let host =
        SimHost::healthy(Manners::default()).with_pack(pack(), vec![("posts::one", unit_tests::sim_program::Ends::Unwritten)]);
    let told = crate::run::told_of(host, &[Tier::Install, Tier::Custom], None);
    assert_eq!((told.colour, told.exit), (Inconclusive, 3));
    assert!(told.why.contains("posts::one is not written yet"), "{}", told.why);
}
