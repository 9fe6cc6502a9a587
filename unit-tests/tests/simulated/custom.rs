//! Custom tests and hooks of a pack in whole simulated runs: each end of a function has its owner, status and exit code.

use harness::{
    model::{
        host::Limits,
        outcome::{Outcome, Owner, Status, Tier},
        pack::{Hooks, Pack, Settings, TestName},
        request::Tests,
    },
    pure::run::{
        facts::Facts,
        plan::{Class, Planned, Step, StepId, plan},
        verdict::VerdictOutcome::{Green, Inconclusive, Red},
    },
};
use unit_tests::{
    event_log::{facts, pack, request, tree},
    sim_host::SimHost,
    sim_program::FunctionBehaviour as Test,
};

use crate::sim_run::{FinishedRun, RunBuilder, run_on};

const TIERS: &[Tier] = &[Tier::Install, Tier::Custom];
const ONE: &str = "posts::one";
const TWO: &str = "posts::two";

/// A host with this pack; a function that `behaviours` does not name passes.
fn host(pack: Pack, behaviours: &[(&'static str, Test)]) -> SimHost {
    SimHost::healthy().with_pack(pack, behaviours)
}

fn run_pack(pack: Pack, behaviours: &[(&'static str, Test)]) -> FinishedRun {
    run_on(host(pack, behaviours)).tiers(TIERS).finish()
}

/// A run of `posts::one`, which behaves like this, and of `posts::two`, which passes.
fn run_with_test(behaviour: Test) -> RunBuilder<'static> {
    run_on(host(pack(), &[(ONE, behaviour)])).tiers(TIERS).case(behaviour)
}

fn settings(text: &str) -> Settings {
    Settings::parse(text).unwrap()
}

#[test]
fn failed_assertion_of_a_test_is_the_recipes_fault() {
    run_with_test(Test::Fails)
        .expect(Red)
        .owner(Owner::Recipe)
        .step(ONE, Status::Fail)
        .summary("posts::one: the post is gone")
        .one_check()
        .step(TWO, Status::Pass)
        .nothing_leaked();
}

#[test]
fn passing_test_is_green() {
    run_with_test(Test::Passes)
        .expect(Green)
        .no_owner()
        .step(ONE, Status::Pass)
        .one_check()
        .step(TWO, Status::Pass)
        .nothing_leaked();
}

#[test]
fn test_that_claims_not_to_apply_without_declared_condition_is_unverified() {
    let why = "posts::one says that it does not apply (it sends no mail), and recipe.toml declares no condition";

    run_with_test(Test::DoesNotApply)
        .expect(Inconclusive)
        .no_owner()
        .step(ONE, Status::Unver)
        .summary(why)
        .one_check()
        .step(TWO, Status::Pass)
        .nothing_leaked();
}

#[test]
fn test_that_breaks_down_is_the_tests_fault_and_costs_no_other_test() {
    for (behaviour, summary) in [
        (Test::Panics, "posts::one: it panicked: no such index"),
        (Test::Hangs, "posts::one: its process did not end within"),
        (Test::Crashes, "posts::one: its process was ended by signal 11"),
        (Test::GivesNoAnswer, "before it had said how the test ended"),
        (Test::IsMissing, "was planned, but the program of the pack does not have it"),
    ] {
        run_with_test(behaviour)
            .expect(Inconclusive)
            .owner(Owner::Test)
            .step(ONE, Status::Fail)
            .summary(summary)
            .one_check()
            .step(TWO, Status::Pass)
            .nothing_leaked();
    }
}

#[test]
fn killed_test_beside_a_failed_assertion_is_red_in_both_orders() {
    for behaviours in [[(ONE, Test::Crashes), (TWO, Test::Fails)], [(ONE, Test::Fails), (TWO, Test::Crashes)]] {
        let run = run_pack(pack(), &behaviours).expect(Red).owner(Owner::Recipe).reason("the post is gone");

        let stage = run.results.stages.iter().find(|stage| stage.name == "custom").unwrap();
        assert_eq!((stage.owner, stage.status), (Some(Owner::Recipe), Status::Fail), "{}", stage.summary);
    }
}

#[test]
fn assertion_that_failed_before_the_next_attempt_was_killed_is_the_recipes_fault() {
    run_with_test(Test::FailsThenCrashes)
        .expect(Red)
        .owner(Owner::Recipe)
        .step(ONE, Status::Fail)
        .summary("the post is late")
        .failed_attempts(1)
        .flaky(false);
}

#[test]
fn test_whose_process_cannot_start_is_the_infrastructures_fault() {
    run_with_test(Test::CannotStart)
        .expect(Inconclusive)
        .owner(Owner::Infrastructure)
        .step(ONE, Status::Fail)
        .summary("the program of the pack was not run: no memory")
        .one_check()
        .step(TWO, Status::Pass)
        .nothing_leaked();
}

#[test]
fn unwritten_test_is_not_verified() {
    run_with_test(Test::IsUnwritten).expect(Inconclusive).reason("posts::one is not written yet");
}

#[test]
fn output_and_notes_of_a_failed_test_are_in_the_results() {
    let run = run_with_test(Test::Fails).finish();

    let Some(Outcome::Failed(failure)) = &run.entry(ONE).outcome else { panic!("{:?}", run.entry(ONE)) };
    assert_eq!(failure.excerpt, ["posts::one was here"]);
    assert_eq!(failure.evidence, "evidence/posts--one-2.txt", "of the second attempt");
    assert!(run.results.remarks.contains(&"posts::one: noted".to_owned()), "{:?}", run.results.remarks);
}

#[test]
fn custom_tier_without_tests_is_inconclusive_and_superficial() {
    let run =
        run_pack(Pack::default(), &[]).expect(Inconclusive).reason("custom is not verified: the recipe has no custom tests");

    assert!(run.results.remarks.iter().any(|remark| remark.starts_with("superficial")), "{:?}", run.results.remarks);
    assert!(run.results.customization.is_none());
}

#[test]
fn install_of_a_pack_without_tests_is_green_and_not_called_superficial() {
    let run = run_on(host(Pack::default(), &[])).tiers(&[Tier::Install]).expect(Green);

    assert!(run.results.remarks.iter().all(|remark| !remark.starts_with("superficial")), "{:?}", run.results.remarks);
}

#[test]
fn custom_tier_in_which_no_test_applies_is_inconclusive() {
    let none_applies = &[(ONE, Test::DoesNotApply), (TWO, Test::DoesNotApply)];
    let conditions =
        "[not_applicable]\n\"posts::one\" = { when = \"without mail\" }\n\"posts::two\" = { when = \"without mail\" }\n";
    let declared = Pack { settings: settings(conditions), ..pack() };

    run_pack(pack(), none_applies).expect(Inconclusive).reason("declares no condition");
    run_pack(declared, none_applies).expect(Inconclusive).reason("none of the custom tests applies");
}

#[test]
fn settings_and_weakness_of_a_pack_are_in_the_results_of_a_green_run() {
    let mut roundtrip_only = pack();
    roundtrip_only.tests.truncate(1);
    roundtrip_only.settings = settings("health_path = \"/health\"\n");

    let run = run_pack(roundtrip_only, &[]).expect(Green).tier(Tier::Custom, Status::Pass);

    let custom = run.results.customization.unwrap();
    assert_eq!(custom["superficial"], "superficial: the pack has no distinctive test");
    assert_eq!(custom["settings"], serde_json::json!({ "health_path": "/health" }));
    assert_eq!(custom["tests"][0]["name"], ONE);
}

#[test]
fn test_that_the_pack_declares_not_applicable_does_not_run() {
    let without_mail = Pack { settings: settings("[not_applicable]\n\"posts::one\" = \"no mail here\"\n"), ..pack() };

    let run = run_pack(without_mail, &[(ONE, Test::Fails)]).expect(Green);

    assert_eq!(run.entry(ONE).summary, "does not apply: no mail here");
}

#[test]
fn test_with_declared_condition_runs_and_may_say_that_it_does_not_apply() {
    let condition = "[not_applicable]\n\"posts::one\" = { when = \"it is set up without mail\" }\n";
    let conditional = || Pack { settings: settings(condition), ..pack() };

    let skipped = run_pack(conditional(), &[(ONE, Test::DoesNotApply)]).expect(Green).step(ONE, Status::Skip);
    let failed = run_pack(conditional(), &[(ONE, Test::Fails)]);

    let summary = "does not apply: it is set up without mail; the test says: it sends no mail";
    assert_eq!(skipped.entry(ONE).summary, summary);
    failed.expect(Red);
}

#[test]
fn custom_tier_that_the_pack_declares_not_applicable_is_skipped() {
    let without_users = Pack { settings: settings("[not_applicable]\ncustom = \"it has no users\"\n"), ..pack() };

    let run = run_pack(without_users, &[]).expect(Green);

    assert_eq!(run.results.rungs.custom, Status::Skip);
    assert_eq!(run.results.skips.intentional["custom"], "does not apply: it has no users");
}

#[test]
fn app_is_configured_between_its_env_and_its_deploy() {
    let pack = Pack {
        settings: settings("[env]\nURL = \"https://{domain}/\"\n"),
        hooks: Hooks { configure: true, ..Hooks::default() },
        overlay: Some("version: \"3.8\"\nservices: {}\n".into()),
        ..pack()
    };
    let host = host(pack, &[]);

    let run = run_on(host.clone()).tiers(TIERS).finish();

    run.expect(Green).remark("not the commit alone: compose.ci.yml, extra.conf");
    assert_eq!(
        host.app_actions(),
        [
            "DOMAIN=hello-aebagbaf.taster.test",
            "LETS_ENCRYPT_ENV=",
            "URL=https://hello-aebagbaf.taster.test/",
            "OWN=pack",
            "COMPOSE_FILE=compose.yml:compose.ci.yml",
            "file compose.ci.yml",
            "file extra.conf",
            "secrets",
            "secret key v1",
            "COMPOSE_FILE=compose.yml:compose.ci.yml:../../compose.limits.yml",
        ]
    );
}

#[test]
fn failed_configure_hook_is_the_packs_fault_and_prevents_the_deploy() {
    for behaviour in [Test::Fails, Test::Panics, Test::Hangs, Test::Crashes, Test::IsMissing] {
        let pack = Pack { hooks: Hooks { configure: true, ..Hooks::default() }, ..pack() };
        let host = host(pack, &[(TestName::CONFIGURE, behaviour)]);

        let run = run_on(host).tiers(TIERS).case(behaviour).finish();

        assert_eq!((run.exit, run.results.deploys), (3, 0), "{behaviour:?}: {}", run.reason);
        run.owner(Owner::Test).nothing_leaked();
    }
}

/// A step and the steps that it waits for; steps beside the tiers are left out.
fn format_order(planned: &Planned) -> String {
    let after: Vec<&str> =
        planned.after.iter().map(|id| id.0.as_str()).filter(|id| !["verify-compose", "lint"].contains(id)).collect();
    format!("{} < {}", planned.id, after.join(" "))
}

#[test]
fn functions_of_a_pack_are_planned_one_after_the_other_in_their_tiers() {
    let check = |tier, name| (tier, TestName::of_check(tier, name));
    let hooks = Hooks {
        configure: true,
        ready: true,
        canaries: Vec::new(),
        checks: vec![check(Tier::Custom, "last"), check(Tier::Install, "first")],
    };
    let facts = Facts { pack: Pack { hooks, ..pack() }, ..facts(tree(None)) };

    let plan = plan(&request(TIERS), &facts, &Limits::default()).unwrap();

    let order: Vec<String> = plan.steps.iter().filter(|planned| planned.class != Class::Beside).map(format_order).collect();
    assert_eq!(
        order,
        [
            "provision < ",
            "configure < provision",
            "deploy < configure",
            "verify-compose < deploy",
            "http < deploy",
            "lifecycle::ready < http",
            "check::install::first < lifecycle::ready",
            "stable < check::install::first",
            "posts::one < stable",
            "posts::two < posts::one",
            "check::custom::last < posts::two",
            "still-stable < screenshot",
            "undeploy < still-stable",
            "cleanup < undeploy",
            "compare-host < cleanup",
        ]
    );
    let screenshot = plan.steps.iter().find(|planned| planned.step == Step::Screenshot).unwrap();
    assert_eq!(screenshot.after, [StepId("check::custom::last".into())], "the screenshot shows the app after all tests");
}

#[test]
fn test_that_passes_at_its_second_attempt_is_green_and_flaky() {
    let run = run_with_test(Test::FailsOnce).finish();

    let run =
        run.expect(Green).step(ONE, Status::Pass).flaky(true).one_check().step(TWO, Status::Pass).flaky(false).failed_attempts(0);
    let one = run.entry(ONE);
    let [attempt] = &one.attempts[..] else { panic!("{one:?}") };
    assert_eq!((attempt.summary.as_str(), attempt.failure.owner), ("posts::one: the post is late", Owner::Recipe));
    assert_eq!(one.tests[0].status, Status::Pass, "the check is the one of the last attempt");
}

#[test]
fn without_retries_a_flaky_test_is_red() {
    let tests = Tests { retries: 0, ..Tests::default() };

    let run = run_with_test(Test::FailsOnce).tests(tests).finish();

    assert_eq!(run.outcome, Red, "{}", run.reason);
    run.step(ONE, Status::Fail).flaky(false).repeat_ends_with(" --retries 0");
}

#[test]
fn with_fail_on_flaky_a_flaky_test_is_red() {
    let tests = Tests { fail_on_flaky: true, ..Tests::default() };

    let run = run_with_test(Test::FailsOnce).tests(tests).finish();

    assert_eq!(run.outcome, Red, "{}", run.reason);
    run.step(ONE, Status::Fail)
        .flaky(true)
        .reason("it is flaky because it passed only at attempt 2; at first posts::one: the post is late")
        .repeat_ends_with(" --fail-on-flaky");
}

#[test]
fn failure_is_retried_as_often_as_requested() {
    for (behaviour, retries) in [(Test::Fails, 1), (Test::Fails, 3), (Test::Panics, 1), (Test::Crashes, 1)] {
        run_with_test(behaviour)
            .tests(Tests { retries, ..Tests::default() })
            .finish()
            .step(ONE, Status::Fail)
            .failed_attempts(retries as usize)
            .flaky(false)
            .one_check()
            .nothing_leaked();
    }
}

#[test]
fn failure_that_a_retry_cannot_change_is_not_retried() {
    for behaviour in [Test::Hangs, Test::IsMissing, Test::CannotStart] {
        run_with_test(behaviour)
            .tests(Tests { retries: 1, ..Tests::default() })
            .finish()
            .step(ONE, Status::Fail)
            .failed_attempts(0)
            .flaky(false)
            .one_check()
            .nothing_leaked();
    }
}

fn named(names: &[&str]) -> Tests {
    Tests { names: names.iter().map(|&name| name.to_owned()).collect(), ..Tests::default() }
}

fn skipping(names: &[&str]) -> Tests {
    Tests { skip: names.iter().map(|&name| name.to_owned()).collect(), ..Tests::default() }
}

fn failed_last_time(name: &str) -> Tests {
    Tests { failed: Some([TestName::reported(name)].into()), ..Tests::default() }
}

#[test]
fn choice_of_tests_leaves_the_custom_rung_unverified() {
    for (tests, choice, repeat) in [
        (named(&["one"]), "one", " -- one"),
        (skipping(&["two"]), "--skip two", " -- --skip two"),
        (failed_last_time(ONE), "--failed", " -- --exact posts::one"),
    ] {
        let host = host(pack(), &[(TWO, Test::Fails)]);

        let run = run_on(host).tiers(TIERS).tests(tests).case(choice).finish();

        assert_eq!(run.results.rungs.custom, Status::Unver, "{choice}");
        let two = run.entry(TWO);
        assert_eq!((two.status, &two.summary), (Status::Skip, &format!("was left out by the choice of tests ({choice})")));
        run.expect(Inconclusive).reason("1 of 2 custom tests were chosen").step(ONE, Status::Pass).repeat_ends_with(repeat);
    }
}

#[test]
fn choice_that_takes_all_tests_leaves_the_custom_rung_unverified_too() {
    let run = run_on(host(pack(), &[])).tiers(TIERS).tests(named(&["posts"])).finish();

    assert_eq!(run.results.rungs.custom, Status::Unver, "{}", run.reason);
}

#[test]
fn failure_of_a_chosen_test_is_red() {
    let run = run_with_test(Test::Fails).tests(named(&["one"])).finish();

    assert_eq!(run.outcome, Red, "{}", run.reason);
}

#[test]
fn test_that_vanished_since_the_last_green_run_is_a_warning() {
    let before = [ONE, TWO, "posts::three"].map(TestName::reported).into();

    let run = run_on(host(pack(), &[])).tiers(TIERS).after_green_run_with(before).finish();

    let run = run.warning("posts::three: was among the custom tests of the last green run and is not any more");
    assert_eq!(run.results.vanished, ["posts::three"]);
}

#[test]
fn run_without_custom_tier_reports_no_vanished_test() {
    let before = [TestName::reported("posts::three")].into();

    let run = run_on(host(pack(), &[])).tiers(&[Tier::Install]).after_green_run_with(before).finish();

    assert!(run.results.vanished.is_empty(), "{:?}", run.results.vanished);
}

#[test]
fn output_of_a_test_is_cut_after_its_secrets_are_hidden() {
    let run = run_with_test(Test::FailsWithLongOutput).finish();

    let outputs: Vec<&String> = run.evidence_tails.iter().filter(|tail| tail.ends_with('x')).collect();
    assert!(!outputs.is_empty(), "{:?}", run.evidence_tails);
    assert!(outputs.iter().all(|tail| !tail.contains("er22")), "a cut within a secret leaves its end");
}

#[test]
fn attached_files_are_kept_without_secrets() {
    let run = run_with_test(Test::AttachesFiles).finish();

    let run = run
        .expect(Green)
        .warning("leak.png of posts::one is not kept: a secret of the run is in it")
        .warning("gone.txt of posts::one is not kept: it cannot be read: no such file");
    let evidence = run.results.evidence.iter().filter(|kept| kept.step == ONE);
    let files: Vec<&str> = evidence.map(|kept| kept.file.as_str()).collect();
    assert_eq!(files, ["evidence/posts--one-page.html", "evidence/posts--one-page.png"]);
}
