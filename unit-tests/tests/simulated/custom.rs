//! Whole runs with a pack on a simulated host: however a function of the pack ends, the run says whose fault it is.

use harness::{
    model::{
        outcome::{Outcome, Owner, Status, Tier},
        pack::{Hooks, Pack, Settings, TestName},
        request::{Request, Tests},
    },
    pure::run::{
        plan::{Class, Step, StepId, plan},
        verdict::VerdictOutcome::{Green, Inconclusive, Red},
    },
    report::results::{Results, StepResult},
};
use unit_tests::{
    event_log::{facts, pack, request, tree},
    sim_host::{Manners, SimHost},
    sim_program::Ends,
};

use crate::run::{RunOutcome, asked, told_of, told_past};

const BOTH: &[Tier] = &[Tier::Install, Tier::Custom];
const ONE: &str = "posts::one";

fn host(pack: Pack, ends: Vec<(&'static str, Ends)>) -> SimHost {
    SimHost::healthy(Manners::default()).with_pack(pack, ends)
}

fn told(pack: Pack, ends: Vec<(&'static str, Ends)>) -> RunOutcome {
    told_of(host(pack, ends), BOTH, None)
}

/// What a run with these tests comes to that was asked for otherwise than usual.
fn told_as(tests: Tests, ends: Vec<(&'static str, Ends)>) -> RunOutcome {
    asked(host(pack(), ends), "zone = \"taster.test\"", Request { tests, ..request(BOTH) }, None)
}

fn step<'a>(results: &'a Results, name: &str) -> &'a StepResult {
    results.step(name).unwrap_or_else(|| panic!("no step {name}"))
}

#[test]
fn a_test_ends_as_what_it_is() {
    use Ends::*;
    let rows = [
        (Well, Status::Pass, Green, 0, None, ""),
        (Fails, Status::Fail, Red, 1, Some(Owner::Recipe), "posts::one: the post is gone"),
        (
            NotApplicable,
            Status::Unver,
            Inconclusive,
            3,
            None,
            "posts::one says that it does not apply (it sends no mail), and recipe.toml declares no condition",
        ),
        (Panics, Status::Fail, Inconclusive, 3, Some(Owner::Test), "posts::one: it panicked: no such index"),
        (Hangs, Status::Fail, Inconclusive, 3, Some(Owner::Test), "posts::one: its process did not end within"),
        (Crashes, Status::Fail, Inconclusive, 3, Some(Owner::Test), "posts::one: its process was ended by signal 11"),
        (Silent, Status::Fail, Inconclusive, 3, Some(Owner::Test), "before it had said how the test ended"),
        (Missing, Status::Fail, Inconclusive, 3, Some(Owner::Test), "was planned, but the program of the pack does not have it"),
        (
            Unstartable,
            Status::Fail,
            Inconclusive,
            3,
            Some(Owner::Infrastructure),
            "the program of the pack was not run: no memory",
        ),
    ];
    for (ends, status, colour, exit, owner, words) in rows {
        let told = told(pack(), vec![(ONE, ends)]);
        assert_eq!((told.colour, told.exit, told.results.owner), (colour, exit, owner), "{ends:?}: {}", told.why);
        let step = step(&told.results, ONE);
        assert_eq!((step.status, step.tests.len()), (status, 1), "{ends:?}");
        assert!(step.summary.contains(words), "{ends:?}: {}", step.summary);
        assert_eq!(self::step(&told.results, "posts::two").status, Status::Pass, "{ends:?}: it costs one test");
        assert!(told.left.is_empty(), "{ends:?} left {:?}", told.left);
    }
}

#[test]
fn what_a_test_printed_is_quoted_and_kept() {
    let told = told(pack(), vec![(ONE, Ends::Fails)]);
    let Some(Outcome::Failed(failure)) = &step(&told.results, ONE).outcome else { panic!("it fails") };
    assert_eq!(
        (failure.excerpt.as_slice(), failure.evidence.as_str()),
        (&["posts::one was here".to_owned()][..], "evidence/posts--one-2.txt")
    );
    assert!(told.results.remarks.contains(&"posts::one: noted".to_owned()), "{:?}", told.results.remarks);
}

#[test]
fn without_tests_nothing_custom_is_green() {
    let none = told(Pack::default(), Vec::new());
    assert_eq!((none.colour, none.exit), (Inconclusive, 3));
    assert!(none.why.contains("custom is not verified: the recipe has no custom tests"), "{}", none.why);
    assert!(none.results.remarks.iter().any(|remark| remark.starts_with("superficial")), "{:?}", none.results.remarks);
    assert!(none.results.customization.is_none());

    let unasked = told_of(host(Pack::default(), Vec::new()), &[Tier::Install], None);
    assert_eq!(unasked.colour, Green, "nobody asked for tests");
    assert!(unasked.results.remarks.iter().all(|remark| !remark.starts_with("superficial")), "{:?}", unasked.results.remarks);

    let all = vec![(ONE, Ends::NotApplicable), ("posts::two", Ends::NotApplicable)];
    let skipped = told(pack(), all);
    assert_eq!(skipped.colour, Inconclusive);
    assert!(skipped.why.contains("declares no condition"), "{}", skipped.why);
    let conditions =
        "[not_applicable]\n\"posts::one\" = { when = \"without mail\" }\n\"posts::two\" = { when = \"without mail\" }\n";
    let declared = Pack { settings: Settings::parse(conditions).unwrap(), ..pack() };
    let all = vec![(ONE, Ends::NotApplicable), ("posts::two", Ends::NotApplicable)];
    let skipped = told(declared, all);
    assert_eq!(skipped.colour, Inconclusive);
    assert!(skipped.why.contains("none of the custom tests applies"), "{}", skipped.why);
}

#[test]
fn what_a_pack_lacks_and_changes_is_in_the_results() {
    let mut some = pack();
    some.tests.truncate(1);
    some.settings = Settings::parse("health_path = \"/health\"\n").unwrap();
    let told = told(some, Vec::new());
    let custom = told.results.customization.unwrap();
    assert_eq!(custom["superficial"], "superficial: the pack has no distinctive test");
    assert_eq!(custom["settings"], serde_json::json!({ "health_path": "/health" }));
    assert_eq!(custom["tests"][0]["name"], ONE);
    assert_eq!((told.colour, told.results.results["custom"]), (Green, Status::Pass), "superficial is no fault");
}

#[test]
fn a_pack_says_what_does_not_apply() {
    let with = |text: &str| Pack { settings: Settings::parse(text).unwrap(), ..pack() };
    let one = told(with("[not_applicable]\n\"posts::one\" = \"no mail here\"\n"), vec![(ONE, Ends::Fails)]);
    assert_eq!(one.colour, Green, "{}", one.why);
    assert_eq!(step(&one.results, ONE).summary, "does not apply: no mail here");
    let under = "[not_applicable]\n\"posts::one\" = { when = \"it is set up without mail\" }\n";
    let said = told(with(under), vec![(ONE, Ends::NotApplicable)]);
    assert_eq!((said.colour, step(&said.results, ONE).status), (Green, Status::Skip), "{}", said.why);
    let why = "does not apply: it is set up without mail; the test says: it sends no mail";
    assert_eq!(step(&said.results, ONE).summary, why);
    let run = told(with(under), vec![(ONE, Ends::Fails)]);
    assert_eq!(run.colour, Red, "a condition leaves no test out: {}", run.why);
    let rung = told(with("[not_applicable]\ncustom = \"it has no users\"\n"), Vec::new());
    assert_eq!((rung.colour, rung.results.rungs.custom), (Green, Status::Skip), "{}", rung.why);
    assert_eq!(rung.results.skips.intentional["custom"], "does not apply: it has no users");
}

#[test]
fn an_app_is_wired_between_its_env_and_its_deploy() {
    let wiring = Pack {
        settings: Settings::parse("[env]\nURL = \"https://{domain}/\"\n").unwrap(),
        hooks: Hooks { configure: true, ..Hooks::default() },
        overlay: Some("version: \"3.8\"\nservices: {}\n".into()),
        ..pack()
    };
    let host = host(wiring, Vec::new());
    let told = told_of(host.clone(), BOTH, None);
    assert_eq!(told.colour, Green, "{}", told.why);
    assert_eq!(
        host.wired(),
        [
            "LETS_ENCRYPT_ENV=",
            "URL=https://hello-aebagbaf.taster.test/",
            "OWN=pack",
            "COMPOSE_FILE=compose.yml:compose.ci.yml",
            "file compose.ci.yml",
            "file extra.conf",
            "secrets",
            "secret key v1",
        ]
    );
    assert!(told.results.remarks.iter().any(|text| text.contains("not the commit alone: compose.ci.yml, extra.conf")));
}

#[test]
fn a_hook_that_fails_is_the_packs_fault_and_ends_the_run() {
    for ends in [Ends::Fails, Ends::Panics, Ends::Hangs, Ends::Crashes, Ends::Missing] {
        let pack = Pack { hooks: Hooks { configure: true, ..Hooks::default() }, ..pack() };
        let told = told(pack, vec![(TestName::CONFIGURE, ends)]);
        assert_eq!((told.exit, told.results.owner), (3, Some(Owner::Test)), "{ends:?}: {}", told.why);
        assert_eq!(told.results.deploys, 0, "{ends:?}");
        assert!(told.left.is_empty(), "{ends:?} left {:?}", told.left);
    }
}

#[test]
fn functions_are_planned_one_after_the_other_in_their_places() {
    let check = |tier, name| (tier, TestName::of_check(tier, name));
    let hooks = Hooks {
        configure: true,
        ready: true,
        canaries: Vec::new(),
        checks: vec![check(Tier::Custom, "last"), check(Tier::Install, "first")],
    };
    let facts = harness::pure::run::facts::Facts { pack: Pack { hooks, ..pack() }, ..facts(tree(None)) };
    let plan = plan(&request(BOTH), &facts, &harness::model::host::Limits::default()).unwrap();
    let told: Vec<String> = plan
        .steps
        .iter()
        .filter(|planned| planned.class != Class::Beside)
        .map(|planned| {
            let after: Vec<&str> =
                planned.after.iter().map(|id| id.0.as_str()).filter(|id| !["verify-compose", "lint"].contains(id)).collect();
            format!("{} < {}", planned.id, after.join(" "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "provision < ",
            "configure < provision",
            "deploy < configure",
            "http < deploy",
            "lifecycle::ready < http",
            "check::install::first < lifecycle::ready",
            "stable < check::install::first",
            "posts::one < stable",
            "posts::two < posts::one",
            "check::custom::last < posts::two",
            "undeploy < screenshot",
            "cleanup < undeploy",
            "compare-host < cleanup",
        ]
    );
    let shot = plan.steps.iter().find(|planned| planned.step == Step::Screenshot).unwrap();
    assert_eq!(shot.after, [StepId("check::custom::last".into())], "the picture is one of an app that was tried");
}

#[test]
fn a_test_that_fails_and_then_passes_is_flaky() {
    let once = told(pack(), vec![(ONE, Ends::Flaky)]);
    let flaky = step(&once.results, ONE);
    assert_eq!((once.colour, flaky.status, flaky.flaky), (Green, Status::Pass, true), "{}", once.why);
    let [attempt] = &flaky.attempts[..] else { panic!("{flaky:?}") };
    assert_eq!((attempt.summary.as_str(), attempt.failure.owner), ("posts::one: the post is late", Owner::Recipe));
    assert_eq!((flaky.tests.len(), flaky.tests[0].status), (1, Status::Pass), "the check is the last attempt's");
    let two = step(&once.results, "posts::two");
    assert!(!two.flaky && two.attempts.is_empty(), "{two:?}");

    let never = told_as(Tests { retries: 0, ..Tests::default() }, vec![(ONE, Ends::Flaky)]);
    assert_eq!((never.colour, step(&never.results, ONE).flaky), (Red, false), "{}", never.why);
    assert!(never.results.repeat.ends_with(" --retries 0"), "{}", never.results.repeat);

    let counts = told_as(Tests { fail_on_flaky: true, ..Tests::default() }, vec![(ONE, Ends::Flaky)]);
    let failed = step(&counts.results, ONE);
    assert_eq!((counts.colour, failed.status, failed.flaky), (Red, Status::Fail, true), "{}", counts.why);
    assert!(counts.why.contains("it is flaky, for it passed only at attempt 2; at first posts::one: the post is late"));
    assert!(counts.results.repeat.ends_with(" --fail-on-flaky"), "{}", counts.results.repeat);
}

#[test]
fn what_fails_again_is_tried_as_often_as_was_asked_and_what_hangs_only_once() {
    for (ends, retries, attempts) in [
        (Ends::Fails, 1, 1),
        (Ends::Fails, 3, 3),
        (Ends::Panics, 1, 1),
        (Ends::Crashes, 1, 1),
        (Ends::Hangs, 1, 0),
        (Ends::Missing, 1, 0),
        (Ends::Unstartable, 1, 0),
    ] {
        let told = told_as(Tests { retries, ..Tests::default() }, vec![(ONE, ends)]);
        let failed = step(&told.results, ONE);
        assert_eq!((failed.attempts.len(), failed.flaky, failed.status), (attempts, false, Status::Fail), "{ends:?}");
        assert_eq!(failed.tests.len(), 1, "{ends:?}");
        assert!(told.left.is_empty(), "{ends:?} left {:?}", told.left);
    }
}

#[test]
fn a_choice_among_tests_is_never_the_custom_tier() {
    let choice = |names: &[&str], skip: &[&str]| Tests {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        skip: skip.iter().map(|&name| name.to_owned()).collect(),
        ..Tests::default()
    };
    let failed = Tests { failed: Some([TestName::reported(ONE)].into()), ..Tests::default() };
    for (tests, by, repeat) in [
        (choice(&["one"], &[]), "one", " -- one"),
        (choice(&[], &["two"]), "--skip two", " -- --skip two"),
        (failed, "--failed", " -- --exact posts::one"),
    ] {
        let told = told_as(tests, vec![("posts::two", Ends::Fails)]);
        assert_eq!((told.colour, told.exit, told.results.rungs.custom), (Inconclusive, 3, Status::Unver), "{by}: {}", told.why);
        assert!(told.why.contains("1 of 2 custom tests were chosen"), "{by}: {}", told.why);
        let two = step(&told.results, "posts::two");
        assert_eq!((two.status, two.summary.as_str()), (Status::Skip, &*format!("was left out by the choice of tests ({by})")));
        assert_eq!(step(&told.results, ONE).status, Status::Pass);
        assert!(told.results.repeat.ends_with(repeat), "{}", told.results.repeat);
    }
    let all = told_as(choice(&["posts"], &[]), Vec::new());
    assert_eq!(all.results.rungs.custom, Status::Unver, "not even one that takes all: {}", all.why);
    let red = told_as(choice(&["one"], &[]), vec![(ONE, Ends::Fails)]);
    assert_eq!(red.colour, Red, "what fails fails: {}", red.why);
}

#[test]
fn a_test_that_vanished_since_the_last_green_run_is_told() {
    let before = [ONE, "posts::two", "posts::three"].map(TestName::reported).into();
    let told = told_past(host(pack(), Vec::new()), BOTH, before);
    assert_eq!(told.results.vanished, ["posts::three"]);
    let warning = "posts::three: was among the custom tests of the last green run and is not any more";
    assert!(told.results.warnings.iter().any(|text| text == warning), "{:?}", told.results.warnings);
    let before = [TestName::reported("posts::three")].into();
    let unasked = told_past(host(pack(), Vec::new()), &[Tier::Install], before);
    assert!(unasked.results.vanished.is_empty(), "nobody asked for tests");
}

#[test]
fn what_a_test_printed_is_cut_only_behind_the_filter() {
    let told = told(pack(), vec![(ONE, Ends::Chatters)]);
    let printed: Vec<&String> = told.tails.iter().filter(|tail| tail.ends_with('x')).collect();
    assert!(!printed.is_empty(), "{:?}", told.tails);
    assert!(printed.iter().all(|tail| !tail.contains("er22")), "an end begins with what the cut left of a secret");
}

#[test]
fn files_that_a_test_leaves_are_kept_without_secrets() {
    let told = told(pack(), vec![(ONE, Ends::Attaches)]);
    assert_eq!(told.colour, Green, "{}", told.why);
    let of_test = told.results.evidence.iter().filter(|kept| kept.step == ONE);
    let kept: Vec<&str> = of_test.map(|kept| kept.file.as_str()).collect();
    assert_eq!(kept, ["evidence/posts--one-page.html", "evidence/posts--one-page.png"]);
    let leak = "leak.png of posts::one is not kept: a secret of the run is in it";
    assert!(told.results.warnings.iter().any(|text| text == leak), "{:?}", told.results.warnings);
    assert!(told.results.warnings.iter().any(|text| text == "gone.txt of posts::one is not kept: it cannot be read: no such file"));
}
