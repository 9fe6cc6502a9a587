//! The report for people: lines, the live block, the ending.

use harness::{
    model::{
        outcome::{Cause, Failure, Gap, Outcome, Owner, Tier},
        refusal::Refusal,
        request::{Request, Source},
        time::Mono,
    },
    ports::Reporter,
    pure::{
        host::inventory::CleanupResult,
        run::{
            event::{Cancel, CleanedBy, Kind, Note},
            plan::{Plan, StepId},
            state::{RunState, fold},
        },
    },
    report::{
        repeat::repeat,
        terminal::{BLOCK_LINES, Board, EndingContext, Lines, Paint, ending},
    },
};
use proptest::prelude::*;
use unit_tests::event_log::{EventLog, failure, planned, request};

const PLACE: EndingContext<'_> = EndingContext { folder: "/runs/1", results: true, page: false, paint: Paint::Plain };

fn lines(log: &EventLog) -> String {
    let (mut text, mut state) = (Vec::new(), RunState::default());
    for event in &log.events {
        state = fold(state, event);
        Lines::to(&mut text).on(event, &state).unwrap();
    }
    String::from_utf8(text).unwrap()
}

fn waits(log: EventLog, step: &str, waiting_for: &[&str]) -> EventLog {
    let waiting_for = waiting_for.iter().map(|what| (*what).to_owned()).collect();
    log.then(Kind::Observed { step: StepId(step.into()), waiting_for })
}

fn board(log: &EventLog) -> Board {
    let (mut board, mut state) = (Board::default(), RunState::default());
    for event in &log.events {
        state = fold(state, event);
        board.note(event, &state);
    }
    board
}

#[test]
fn step_that_ends_has_one_line_with_its_status_and_its_time() {
    let log = EventLog::planned(&[Tier::Install]).pass(&["provision"]).step("deploy", failure(Owner::Recipe).into());
    let text = lines(&log);
    assert!(text.contains("] provision: passed in 0.1 s\n"), "{text}");
    assert!(text.contains("] deploy: failed after 0.1 s: the fault of recipe\n"), "{text}");
}

#[test]
fn foreign_text_reaches_the_terminal_without_control_sequences() {
    let nasty = "\u{1b}[2J\u{1b}]0;title\u{7}\rgone\u{9b}31m";
    let failed = Failure::new(Cause::Assertion, format!("it wrote:\n  {nasty}"));
    let log = waits(EventLog::planned(&[Tier::Install]).starts("deploy"), "deploy", &[nasty])
        .then(Kind::Warned { text: nasty.into() })
        .noted(Note::Remark { text: nasty.into() })
        .step("deploy", Outcome::Failed(failed));
    let block = board(&log).block(Mono(9), 200).join("\n");
    for text in [lines(&log), ending(&log.ends().state(), PLACE), block] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn block_names_each_blocker_with_its_age() {
    let log = EventLog::planned(&[Tier::Install]).starts("deploy");
    let began = log.events.last().unwrap().mono.0;
    let log = waits(log, "deploy", &["app: starting 0/1", "db: health: 503"]);
    let log = waits(log, "deploy", &["app: starting 1/1", "db: health: 503"]);
    let block = board(&log).block(Mono(began + 12_100), 80);
    // The app's blocker is new since the second observation, the other one is as old as the first.
    assert_eq!(block, ["deploy 12 s", "  app: starting 1/1 for 11 s", "  db: health: 503 for 12 s"]);
}

#[test]
fn block_is_empty_when_no_step_runs() {
    let log = EventLog::planned(&[Tier::Install]).pass(&["provision"]);
    assert!(board(&log).block(Mono(1), 80).is_empty());
    assert_eq!(board(&EventLog::begun(&[Tier::Install])).block(Mono(1200), 80), ["reading the facts 1.2 s"]);
    let cut_short = EventLog::begun(&[Tier::Install]).ends();
    assert!(board(&cut_short).block(Mono(1), 80).is_empty());
}

fn ending_of(name: &str) -> String {
    ending(&unit_tests::event_log::ending(name).state(), PLACE)
}

#[test]
fn endings_begin_with_the_verdict_and_end_with_the_repeat_command() {
    insta::assert_snapshot!(ending_of("green"), @"
    green (install), level 1: upgrade was not asked for, with the sandbox abra
      left behind: nothing
      results: /runs/1/results.json
      repeat: taster --recipe hello --ref 0123456789012345678901234567890123456789 --tiers install
    ");
    insta::assert_snapshot!(ending_of("red"), @r#"
    red (install failed), level 0: install failed, with the sandbox abra
      why (recipe): the fault of recipe
        <b>&"'</b> ]]> red
      left behind: nothing
      look at: evidence/deploy.txt
      results: /runs/1/results.json
      repeat: taster --recipe hello --ref 0123456789012345678901234567890123456789 --tiers install
    "#);
    insta::assert_snapshot!(ending_of("green with leaked objects"), @r#"
    green (install), level 1: upgrade was not asked for, with the sandbox abra
      left behind: volume shop_data
      changed by the run though not its own: <b>&"'</b> ]]> red 
      results: /runs/1/results.json
      repeat: taster --recipe hello --ref 0123456789012345678901234567890123456789 --tiers install
    "#);
    insta::assert_snapshot!(ending_of("refused by request"), @r#"
    inconclusive (install not verified: the run was refused), level 0: install was not verified: the run was refused
      why: the recipe has no tag "9.9"
      left behind: nothing that the run had claimed; the inventories were not compared
      results: /runs/1/results.json
      repeat: taster --recipe hello --tiers install
    "#);
    insta::assert_snapshot!(ending_of("ended in the deploy"), @"
    inconclusive (install not verified: the run ended before it did), level 0: install was not verified: the run ended before it did, with the sandbox abra
      why: the run was ended by signal 15
      why: install is not verified: the run ended before it did
      left behind: not known; the inventories were not compared
      results: /runs/1/results.json
      repeat: taster --recipe hello --ref 0123456789012345678901234567890123456789 --tiers install
    ");
}

#[test]
fn colours_are_added_to_the_words_and_nothing_else_changes() {
    let log = EventLog::planned(&[Tier::Install]).step("provision", failure(Owner::Recipe).into()).ends();
    let coloured = ending(&log.state(), EndingContext { paint: Paint::Colours, ..PLACE });
    assert!(coloured.contains("\u{1b}[31mred\u{1b}[0m (install failed)"), "{coloured}");
    assert_eq!(coloured.replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""), ending(&log.state(), PLACE));
}

#[test]
fn repeat_command_names_the_tiers_and_each_option_that_is_not_the_default() {
    let asked = |change: fn(&mut Request)| {
        let mut request = request(&[Tier::Install]);
        change(&mut request);
        let mut log = EventLog::begun(&[Tier::Install]).under(planned(&request));
        if let Kind::RunStarted { request: begun, .. } = &mut log.events[0].kind {
            *begun = request;
        }
        repeat(&log.state())
    };
    let at = "taster --recipe hello --ref 0123456789012345678901234567890123456789";
    let install = format!("{at} --tiers install");
    for (repeated, command) in [
        (asked(|_| {}), install.clone()),
        (asked(|request| request.host_file = Some("/etc/my host.toml".into())), format!("{install} --host '/etc/my host.toml'")),
        (asked(|request| request.deadline = std::time::Duration::from_secs(60)), format!("{install} --deadline 60")),
        (asked(|request| request.offline = Some("/abra/recipes".into())), format!("{install} --offline")),
        (asked(|request| request.tiers = [Tier::Install, Tier::Backup].into()), format!("{at} --tiers install,backup")),
        (
            asked(|request| request.source = Source::Folder { path: "/a/it's\nhere".into() }),
            r"taster --recipe hello --path $'/a/it\'s\x0ahere' --tiers install".to_owned(),
        ),
    ] {
        assert_eq!(repeated, command);
    }
}

#[test]
fn ending_of_a_kept_app_names_the_host_file_of_its_commands() {
    let kept = Kind::Kept {
        domain: "hello-aebagbaf.taster.test".parse().unwrap(),
        until: harness::model::time::Wall::from_millis(1_800_000_000_000),
    };
    let mut log = EventLog::planned(&[Tier::Install]).then(kept);
    if let Kind::RunStarted { request, .. } = &mut log.events[0].kind {
        request.host_file = Some("/etc/my host.toml".into());
    }

    let text = ending(&log.ends().state(), PLACE);

    let again = "taster --recipe hello --attach hello-aebagbaf.taster.test --host '/etc/my host.toml'";
    assert!(text.contains(again), "{text}");
    assert!(
        text.contains("taster watch --recipe hello --attach hello-aebagbaf.taster.test --host '/etc/my host.toml'"),
        "{text}"
    );
}

#[test]
fn ending_of_a_killed_run_names_the_leftovers_of_its_cleanup() {
    let left = vec!["volume shop_data: a container uses it".to_owned()];
    let log = EventLog::planned(&[Tier::Install]).then(Kind::CleanedAfter { by: CleanedBy::Janitor, removed: 0, left });

    let text = ending(&log.state(), PLACE);

    assert!(text.contains("\n  left behind: volume shop_data: a container uses it\n"), "{text}");
}

#[test]
fn killed_run_is_never_green() {
    let log = EventLog::planned(&[Tier::Install]).pass(&["provision", "deploy", "verify-compose", "http"]).starts("stable");
    let text = ending(&log.state(), PLACE);
    assert!(text.starts_with("inconclusive (install not verified: the run ended before it did), level 0"), "{text}");
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let sentence = proptest::collection::vec("[a-z \u{1b}\t…]{0,40}", 1..40).prop_map(|lines| lines.join("\n"));
    let owner = prop_oneof![Just(Owner::Recipe), Just(Owner::Infrastructure), Just(Owner::Harness)];
    prop_oneof![
        Just(Outcome::Passed),
        Just(Outcome::Unverified(Gap::RunEnded)),
        sentence.clone().prop_map(|because| Outcome::Unverified(Gap::NotRun { because })),
        (sentence, owner).prop_map(|(text, owner)| Outcome::Failed(Failure::new(Cause::Assertion, text).owned_by(owner))),
    ]
}

prop_compose! {
    /// A run that may have gone in any way, with as much to report as there can be.
    fn log()(
        tiers in proptest::sample::subsequence(Tier::ALL.to_vec(), 1..=5),
        outcomes in proptest::collection::vec(outcome(), 0..10),
        texts in proptest::collection::vec("[a-z\n ]{0,30}", 0..8),
        refused in proptest::bool::weighted(0.1),
        cancelled in any::<bool>(),
        compared in any::<bool>(),
        ends in any::<bool>(),
    ) -> EventLog {
        let begun = EventLog::begun(&tiers);
        let mut log = match refused {
            true => begun.under(Plan::refused(Refusal::Request { sentence: texts.join("\n") })),
            false => begun.under(planned(&request(&tiers))),
        };
        let steps = [
            "provision",
            "deploy",
            "verify-compose",
            "http",
            "stable",
            "still-stable",
            "undeploy",
            "cleanup",
            "compare-host",
        ];
        for (step, outcome) in steps.iter().zip(outcomes) {
            log = log.step(step, outcome);
        }
        for text in &texts {
            let (step, file, what) = (StepId("deploy".into()), format!("evidence/{text}").into(), text.clone());
            log = log.noted(Note::Remark { text: text.clone() }).then(Kind::EvidenceKept { step, file, what, tail: String::new() });
            log = waits(log.starts(text), text, &["a", "b\nc", text]);
        }
        if cancelled {
            log = log.cancelled(Cancel::Journal { message: texts.join("\n") });
        }
        if compared {
            log = log.compared(CleanupResult { leaked: texts.clone(), changed_bystanders: texts, others: Vec::new(), ignored: Vec::new() });
        }
        if ends { log.ends() } else { log }
    }
}

proptest! {
    #[test]
    fn ending_has_at_most_twenty_lines_and_the_repeat_command(log in log(), page in any::<bool>()) {
        let text = ending(&log.state(), EndingContext { page, ..PLACE });
        prop_assert!(text.lines().count() <= 20, "{text}");
        for word in ["\n  left behind: ", "\n  results: /runs/1/results.json\n", "\n  repeat: taster --recipe hello"] {
            prop_assert!(text.contains(word), "{word:?} is missing in {text}");
        }
        prop_assert!(text.contains("\n  why") || text.starts_with("green"), "{text}");
        prop_assert_eq!(page, text.contains("report.html"));
    }

    #[test]
    fn block_fits_its_lines_and_the_terminal(log in log(), width in 1_usize..120, now in 0_u64..10_000_000) {
        let block = board(&log).block(Mono(now), width);
        prop_assert!(block.len() <= BLOCK_LINES);
        prop_assert!(block.iter().all(|line| line.chars().count() <= width && !line.contains('\n')), "{block:?}");
    }
}

#[test]
fn results_that_are_not_there_are_not_named() {
    let text = ending(&EventLog::planned(&[Tier::Install]).ends().state(), EndingContext { results: false, ..PLACE });
    assert!(text.contains("  results: none are in /runs/1\n") && !text.contains("results.json\n"), "{text}");
}
