//! Lint: its table, what head introduced, and what a run makes of it.

use harness::{
    model::{
        git::Branch,
        outcome::{Cause, Failure, Gap, Outcome, Owner, Status, Subject, Tier},
    },
    pure::{
        recipe::lint::{Before, Fault, Linted, Severity, State, Unreadable, compared, named, parse},
        run::{
            event::Cancel,
            level::rungs,
            verdict::{VerdictOutcome, exit_code, verdict},
        },
    },
    report::{
        junit::junit,
        results::Results,
        terminal::{Paint, Place, ending},
    },
};
use unit_tests::{
    event_log::{EventLog, failure},
    lint_table::lint_table,
    sim_host::{Does, Manners},
};

use crate::run::{check, told, told_spoilt};

const TIER: &[&str] = &["provision", "deploy", "http", "stable"];

/// A table as abra prints it; each row is number, severity and the two signs.
fn table(rows: &[(&str, &str, &str, &str)]) -> String {
    let row = |(id, severity, satisfied, skipped): &(&str, &str, &str, &str)| {
        format!("┃ {id} ┃ rule {id} ┃ {severity:8} ┃ {satisfied} ┃ {skipped} ┃ mend it ┃\n")
    };
    let rows: String = rows.iter().map(row).collect();
    format!("┏━━━┳━━━┓\n┃ ref ┃ rule ┃ severity ┃ satisfied ┃ skipped ┃ resolve ┃\n┣━━━╋━━━┫\n{rows}┗━━━┻━━━┛\n")
}

const WARN: &str = "WARN critical errors present in hello config\n";

fn states(text: &str) -> Vec<(String, Severity, State)> {
    let Linted::Rules { rules } = parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}")) else { panic!("it is a table") };
    rules.into_iter().map(|rule| (rule.id, rule.severity, rule.state)).collect()
}

fn expected() -> Vec<(String, Severity, State)> {
    let row = |id: &str, severity, state| (id.to_owned(), severity, state);
    vec![
        row("R001", Severity::Warn, State::Broken),
        row("R008", Severity::Error, State::Holds),
        row("R010", Severity::Error, State::Skipped),
        row("R011", Severity::Error, State::Broken),
        row("R016", Severity::Other("odd".into()), State::Holds),
    ]
}

#[test]
fn a_table_is_read_whatever_its_bars_its_order_and_its_colours() {
    let warns = [("R001", "warn", "❌", "-"), ("R016", "odd", "✅", "-")];
    let errors = [("R008", "error", "✅", "-"), ("R010", "error", "-", "✅"), ("R011", "error", "❌", "-")];
    let plain = table(&[&warns[..], &errors[..]].concat()) + WARN;
    let swapped = table(&[&errors[..], &warns[..]].concat()) + WARN;
    let coloured = plain.replace("❌", "\u{1b}[31m❌\u{1b}[0m").replace("WARN", "\u{1b}[1;38;5;192mWARN\u{1b}[0m");
    let wrapped = plain.replace("┃ R008 ┃ rule R008 ┃", "┃      ┃ and goes on ┃ ┃ ┃ ┃ so ┃\n┃ R008 ┃ rule R008 ┃");
    for text in [
        plain.replace('┃', "│"),
        plain.replace('┃', "|"),
        plain.replace('\n', "\r\n"),
        plain.replace("❌", "❌\u{fe0f}"),
        format!("INFO fetching\n{plain}WARN R013: no network\n"),
        plain,
        swapped,
        coloured,
        wrapped,
    ] {
        assert_eq!(states(&text), expected(), "{text}");
    }
}

#[test]
fn what_cannot_be_read_for_sure_is_not_read() {
    let good = ("R008", "error", "✅", "-");
    let of = |rows: &[(&str, &str, &str, &str)]| parse(&table(rows)).unwrap_err();
    let signs = |satisfied: &str, skipped: &str| Unreadable::Signs {
        rule: "R011".into(),
        satisfied: satisfied.into(),
        skipped: skipped.into(),
    };
    for (error, expected) in [
        (parse("").unwrap_err(), Unreadable::NoTable),
        (parse("FATA inappropriate ioctl for device\n").unwrap_err(), Unreadable::NoTable),
        (of(&[]), Unreadable::NoTable),
        (of(&[("R001", "warn", "✅", "-")]), Unreadable::NoErrors),
        (of(&[good, good]), Unreadable::Twice { rule: "R008".into() }),
        (of(&[good, ("R011", "error", "yes", "-")]), signs("yes", "-")),
        (of(&[good, ("R011", "error", "-", "-")]), signs("-", "-")),
        (of(&[good, ("R011", "error", "❌", "✅")]), signs("❌", "✅")),
        (of(&[good, ("R011", "error", "❌", "-")]), Unreadable::Contradiction { rows: 1, line: false }),
        (parse(&(table(&[good]) + WARN)).unwrap_err(), Unreadable::Contradiction { rows: 0, line: true }),
        (parse("┃ R011 ┃ all services ┃\n").unwrap_err(), Unreadable::Short { rule: "R011".into(), cells: 2 }),
    ] {
        assert_eq!(error, expected);
    }
}

fn breaking(rules: &[&str]) -> Linted {
    parse(&lint_table(rules)).unwrap()
}

fn invalid() -> Linted {
    Linted::Invalid { reason: "unable to validate recipe: no".into() }
}

#[test]
fn what_head_introduced_is_told_apart_from_what_was_there() {
    let none: &[&str] = &[];
    let known = |base| Before::Known(base);
    let (clean, one, two, bad) = (breaking(&[]), breaking(&["R011"]), breaking(&["R011", "R014"]), invalid());
    for (head, before, expected) in [
        (&clean, known(&one), [none, none, none]),
        (&clean, Before::Unknown, [none, none, none]),
        (&one, known(&clean), [&["R011"], none, none]),
        (&one, known(&one), [none, &["R011"], none]),
        (&two, known(&one), [&["R014"], &["R011"], none]),
        (&one, known(&two), [none, &["R011"], none]),
        (&one, Before::Nothing, [&["R011"], none, none]),
        (&one, Before::Unknown, [none, none, &["R011"]]),
        (&one, known(&bad), [none, none, &["R011"]]),
        (&bad, known(&clean), [&["invalid"], none, none]),
        (&bad, known(&bad), [none, &["invalid"], none]),
        (&bad, Before::Nothing, [&["invalid"], none, none]),
        (&bad, Before::Unknown, [none, none, &["invalid"]]),
        (&breaking(&["R001"]), Before::Nothing, [none, none, none]),
    ] {
        let told = compared(head, before);
        let ids = |faults: &[Fault]| -> Vec<String> {
            let id = |fault: &Fault| match fault {
                Fault::Rule { id, .. } => id.clone(),
                Fault::Invalid { .. } => "invalid".into(),
            };
            faults.iter().map(id).collect()
        };
        assert_eq!(
            [ids(&told.introduced), ids(&told.before), ids(&told.unclear)],
            expected.map(|ids| ids.to_vec()),
            "{before:?}"
        );
    }
    assert_eq!(named(&two.errors()), "R011 (all services have images), R014 (only annotated tags used)");
    assert_eq!(breaking(&["R001", "R011"]).advice(), ["R001"]);
}

fn introduced() -> Outcome {
    let rules = vec!["R011".into()];
    Outcome::Failed(Failure::new(Cause::Lint { rules }, "head has lint errors: R011"))
}

fn unclear() -> Outcome {
    Outcome::Unverified(Gap::Incomparable { what: "whether R011 is new is not known".into() })
}

/// A run in which all is well but perhaps lint.
fn run(broken: Option<&[&str]>, outcome: Option<Outcome>) -> EventLog {
    let mut log = EventLog::begun(&[Tier::Install])
        .under(unit_tests::event_log::planned(&unit_tests::event_log::request(&[Tier::Install])));
    if let Some(broken) = broken {
        log = log.linted(Subject::Head, broken);
    }
    if let Some(outcome) = outcome {
        log = log.step("lint", outcome);
    }
    log.pass(TIER).pass(&["undeploy", "cleanup"]).compared(Default::default())
}

#[test]
fn the_rung_is_about_all_errors_and_the_verdict_about_those_that_head_introduced() {
    let unread = || Outcome::Unverified(Gap::Unread { what: "abra did not end within 50 s".into() });
    let broken = |rules: &'static [&'static str]| Some(rules);
    let rows = [
        ("clean", broken(&[]), Some(Outcome::Passed), Status::Pass, VerdictOutcome::Green, 0),
        ("only advice", broken(&["R001"]), Some(Outcome::Passed), Status::Pass, VerdictOutcome::Green, 0),
        ("introduced", broken(&["R011"]), Some(introduced()), Status::Fail, VerdictOutcome::Red, 1),
        ("there before", broken(&["R011"]), Some(Outcome::Passed), Status::Fail, VerdictOutcome::Green, 0),
        ("perhaps there before", broken(&["R011"]), Some(unclear()), Status::Fail, VerdictOutcome::Green, 0),
        ("not read", None, Some(unread()), Status::Unver, VerdictOutcome::Inconclusive, 3),
        ("did not run", None, None, Status::Unver, VerdictOutcome::Inconclusive, 3),
        ("our own defect", None, Some(Outcome::Failed(failure(Owner::Harness))), Status::Unver, VerdictOutcome::Inconclusive, 6),
        ("passed without a word", None, Some(Outcome::Passed), Status::Unver, VerdictOutcome::Green, 0),
    ];
    for (what, broken, outcome, rung, colour, exit) in rows {
        let state = run(broken, outcome).ends().state();
        let (verdict, stands) = (verdict(&state), rungs(&state).lint);
        assert_eq!(
            (stands.status, verdict.outcome, exit_code(&state).code()),
            (rung, colour, exit),
            "{what}: {verdict:?} {stands:?}"
        );
        let results = Results::from(&state);
        let lint = results.lint.expect("there is lint");
        assert_eq!((lint.status, results.rungs.lint), (rung, rung), "{what}");
        let failing = junit(&state).to_string().unwrap();
        let fails = failing.contains("<failure") || failing.contains("<error");
        assert_eq!(fails, colour != VerdictOutcome::Green, "{what}: {failing}");
    }
}

#[test]
fn results_name_the_rules_and_junit_has_one_case_of_lint() {
    let state = run(Some(&["R001", "R011"]), Some(introduced())).ends().state();
    let results = Results::from(&state);
    let lint = results.lint.unwrap();
    assert_eq!(
        (lint.rules_failed, lint.introduced, lint.advice),
        (vec!["R011".into()], vec!["R011".into()], vec!["R001".into()])
    );
    assert_eq!((lint.against, lint.rules.len()), (None, 4));
    let text = junit(&state).to_string().unwrap();
    assert_eq!(text.matches("classname=\"lint\"").count(), 1, "{text}");
    assert_eq!(text.matches("head has lint errors: R011").count(), 1, "{text}");
}

#[test]
fn the_ending_tells_errors_that_make_no_verdict() {
    let told = |outcome| {
        let state = run(Some(&["R011"]), Some(outcome)).ends().state();
        ending(&state, Place { folder: "/runs/1", page: false, paint: Paint::Plain })
    };
    let before = told(Outcome::Passed);
    assert!(before.contains("\n  lint: head has errors that base has too: R011 (all services have images)\n"), "{before}");
    let unclear = told(unclear());
    assert!(unclear.contains("\n  lint: whether R011 is new is not known\n"), "{unclear}");
    let introduced = told(introduced());
    assert!(!introduced.contains("  lint:") && introduced.contains("why (recipe): head has lint errors: R011"), "{introduced}");
}

#[test]
fn a_run_that_is_ended_before_lint_has_ended_proves_nothing_of_lint() {
    let log = run(None, None).cancelled(Cancel::Signal { signal: 15 }).ends();
    let stands = rungs(&log.state()).lint;
    assert_eq!((stands.status, stands.why.as_str()), (Status::Unver, "was not verified: the run ended before it did"));
}

fn branch() -> Option<Branch> {
    Some(Branch { name: "main".into(), commit: "f".repeat(40).parse().unwrap() })
}

#[test]
fn errors_that_head_introduced_are_red() {
    let bad = || lint_table(&["R011"]);
    check(
        told_spoilt(|host| host.tables[0] = bad()),
        VerdictOutcome::Red,
        1,
        "head has lint errors: R011 (all services have images)",
    );
    let after_a_clean_base = told_spoilt(|host| {
        host.tables[0] = bad();
        host.branch = branch();
    });
    assert_eq!(after_a_clean_base.results.lint.as_ref().unwrap().against.as_deref(), Some("main"));
    check(after_a_clean_base, VerdictOutcome::Red, 1, "base main does not have them: R011");
}

#[test]
fn errors_that_base_has_too_are_told_and_leave_the_verdict_green() {
    let told = told_spoilt(|host| {
        host.tables = [lint_table(&["R011"]), lint_table(&["R011", "R014"])];
        host.branch = branch();
    });
    assert_eq!(told.results.warnings, ["head has lint errors, base main has them too: R011 (all services have images)"]);
    let lint = told.results.lint.as_ref().unwrap();
    assert_eq!((lint.status, &lint.introduced), (Status::Fail, &Vec::new()));
    check(told, VerdictOutcome::Green, 0, "");
}

#[test]
fn a_base_that_cannot_be_linted_makes_no_verdict() {
    let spoilt = |head: &[&str]| {
        told_spoilt(|host| {
            host.tables = [lint_table(head), "what?".into()];
            host.branch = branch();
        })
    };
    check(spoilt(&[]), VerdictOutcome::Green, 0, "");
    let unclear = spoilt(&["R011"]);
    assert_eq!(unclear.results.rungs.lint, Status::Fail);
    assert!(unclear.results.warnings[0].contains("whether they are new is not known"), "{:?}", unclear.results.warnings);
    check(unclear, VerdictOutcome::Green, 0, "");
}

#[test]
fn every_way_to_fail_to_lint_is_not_verified_with_its_reason() {
    let with = |lint| told(Manners { lint, ..Manners::default() }, None);
    for (what, told, exit, why) in [
        ("abra fails", with(Does::Fails), 3, "lint is not verified: abra ended with exit code 1: no network"),
        ("abra hangs", with(Does::Hangs), 3, "lint is not verified: abra did not end within 50s"),
        ("abra panics", with(Does::Panics), 6, "step lint panicked"),
        ("the table is none", told_spoilt(|host| host.tables[0].clear()), 3, "cannot be read: there is no table of rules"),
    ] {
        assert_eq!(told.results.rungs.lint, Status::Unver, "{what}");
        check(told, VerdictOutcome::Inconclusive, exit, why);
    }
}
