//! Lint: reading abra's table, errors that head introduced, and what both mean for rungs, verdict and reports.

use harness::{
    model::{
        git::Branch,
        outcome::{Cause, Failure, Gap, Outcome, Owner, Status, Subject, Tier},
    },
    pure::{
        recipe::{
            lint::{BaseLint, Fault, Linted, Severity, State, Unreadable, compared, list_faults, parse},
            release::{ReleaseFault, ReleaseFaults},
        },
        run::{
            event::Cancel,
            level::rungs,
            verdict::{VerdictOutcome, exit_code, verdict},
        },
    },
    report::{
        junit::junit,
        results::Results,
        terminal::{EndingContext, Paint, ending},
    },
};
use unit_tests::{
    event_log::{EventLog, failure, planned, request},
    lint_table::lint_table,
    sim_host::{CallBehaviour, HostBehaviour, SimHost},
};

use crate::sim_run::{FinishedRun, run_on};

/// A row of abra's table: number, severity, and the signs in the columns *satisfied* and *skipped*.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: &'static str,
    severity: &'static str,
    satisfied: &'static str,
    skipped: &'static str,
}

const fn row(id: &'static str, severity: &'static str) -> Row {
    Row { id, severity, satisfied: "✅", skipped: "-" }
}

impl Row {
    const fn broken(self) -> Self {
        Self { satisfied: "❌", ..self }
    }

    const fn skipped(self) -> Self {
        Self { satisfied: "-", skipped: "✅", ..self }
    }
}

/// The line that abra prints below a table with broken errors.
const CRITICAL_LINE: &str = "WARN critical errors present in hello config\n";

/// A table as abra prints it.
fn table(rows: &[Row]) -> String {
    let line = |Row { id, severity, satisfied, skipped }: &Row| {
        format!("┃ {id} ┃ rule {id} ┃ {severity:8} ┃ {satisfied} ┃ {skipped} ┃ mend it ┃\n")
    };
    let lines: String = rows.iter().map(line).collect();
    format!("┏━━━┳━━━┓\n┃ ref ┃ rule ┃ severity ┃ satisfied ┃ skipped ┃ resolve ┃\n┣━━━╋━━━┫\n{lines}┗━━━┻━━━┛\n")
}

const ADVICE: [Row; 2] = [row("R001", "warn").broken(), row("R016", "odd")];
const ERRORS: [Row; 3] = [row("R008", "error"), row("R010", "error").skipped(), row("R011", "error").broken()];

/// The states of [`ADVICE`] and [`ERRORS`], by number.
fn expected_states() -> Vec<(String, Severity, State)> {
    vec![
        ("R001".into(), Severity::Warn, State::Broken),
        ("R008".into(), Severity::Error, State::Holds),
        ("R010".into(), Severity::Error, State::Skipped),
        ("R011".into(), Severity::Error, State::Broken),
        ("R016".into(), Severity::Other("odd".into()), State::Holds),
    ]
}

fn states(text: &str) -> Vec<(String, Severity, State)> {
    let Linted::Rules { rules } = parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}")) else { panic!("it is a table") };
    rules.into_iter().map(|rule| (rule.id, rule.severity, rule.state)).collect()
}

#[test]
fn table_is_read_with_any_bars_order_colours_and_lines_around_it() {
    let plain = table(&[&ADVICE[..], &ERRORS[..]].concat()) + CRITICAL_LINE;
    let swapped = table(&[&ERRORS[..], &ADVICE[..]].concat()) + CRITICAL_LINE;
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
        assert_eq!(states(&text), expected_states(), "{text}");
    }
}

#[test]
fn text_without_a_table_is_unreadable() {
    for text in ["", "FATA inappropriate ioctl for device\n", &table(&[])] {
        assert_eq!(parse(text), Err(Unreadable::NoTable), "{text}");
    }
}

#[test]
fn table_with_missing_doubled_or_cut_rows_is_unreadable() {
    let good = row("R008", "error");

    assert_eq!(parse(&table(&[row("R001", "warn")])), Err(Unreadable::NoErrors));
    assert_eq!(parse(&table(&[good, good])), Err(Unreadable::Twice { rule: "R008".into() }));
    assert_eq!(parse("┃ R011 ┃ all services ┃\n"), Err(Unreadable::Short { rule: "R011".into(), cells: 2 }));
}

#[test]
fn table_with_unknown_signs_is_unreadable() {
    for (satisfied, skipped) in [("yes", "-"), ("-", "-"), ("❌", "✅")] {
        let odd = Row { satisfied, skipped, ..row("R011", "error") };

        let parsed = parse(&table(&[row("R008", "error"), odd]));

        let (satisfied, skipped) = (satisfied.into(), skipped.into());
        assert_eq!(parsed, Err(Unreadable::Signs { rule: "R011".into(), satisfied, skipped }));
    }
}

#[test]
fn table_that_contradicts_the_line_below_it_is_unreadable() {
    let good = row("R008", "error");
    let without_line = table(&[good, row("R011", "error").broken()]);
    let with_line = table(&[good]) + CRITICAL_LINE;

    assert_eq!(parse(&without_line), Err(Unreadable::Contradiction { rows: 1, line: false }));
    assert_eq!(parse(&with_line), Err(Unreadable::Contradiction { rows: 0, line: true }));
}

fn linted(broken: &[&str]) -> Linted {
    parse(&lint_table(broken)).unwrap()
}

fn invalid() -> Linted {
    Linted::Invalid { reason: "unable to validate recipe: no".into() }
}

fn id(fault: &Fault) -> &str {
    match fault {
        Fault::Rule { id, .. } => id,
        Fault::Invalid { .. } => "invalid",
        Fault::Release(fault) => fault.rule(),
    }
}

fn ids(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(id).collect()
}

/// The lint errors of head, by the result of base.
#[derive(Debug, Default, PartialEq)]
struct Faults<'a> {
    introduced: Vec<&'a str>,
    existing: Vec<&'a str>,
    unclear: Vec<&'a str>,
}

#[track_caller]
fn assert_compared(head: &Linted, base: BaseLint<'_>, expected: Faults<'_>) {
    let compared = compared(head, base, &ReleaseFaults::default());

    let found =
        Faults { introduced: ids(&compared.introduced), existing: ids(&compared.existing), unclear: ids(&compared.unclear) };
    assert_eq!(found, expected, "{base:?}");
}

#[test]
fn head_without_errors_has_no_faults() {
    assert_compared(&linted(&[]), BaseLint::Known(&linted(&["R011"])), Faults::default());
    assert_compared(&linted(&[]), BaseLint::Unknown, Faults::default());
    assert_compared(&linted(&["R001"]), BaseLint::NoBase, Faults::default());
}

#[test]
fn error_that_base_does_not_have_is_introduced() {
    let (clean, one, two) = (linted(&[]), linted(&["R011"]), linted(&["R009", "R011"]));

    assert_compared(&one, BaseLint::Known(&clean), Faults { introduced: vec!["R011"], ..Faults::default() });
    assert_compared(&one, BaseLint::NoBase, Faults { introduced: vec!["R011"], ..Faults::default() });
    assert_compared(
        &two,
        BaseLint::Known(&one),
        Faults { introduced: vec!["R009"], existing: vec!["R011"], ..Faults::default() },
    );
    assert_compared(&invalid(), BaseLint::Known(&clean), Faults { introduced: vec!["invalid"], ..Faults::default() });
    assert_compared(&invalid(), BaseLint::NoBase, Faults { introduced: vec!["invalid"], ..Faults::default() });
}

#[test]
fn error_that_base_has_was_there_before() {
    let (one, two) = (linted(&["R011"]), linted(&["R011", "R014"]));

    assert_compared(&one, BaseLint::Known(&one), Faults { existing: vec!["R011"], ..Faults::default() });
    assert_compared(&one, BaseLint::Known(&two), Faults { existing: vec!["R011"], ..Faults::default() });
    assert_compared(&invalid(), BaseLint::Known(&invalid()), Faults { existing: vec!["invalid"], ..Faults::default() });
}

#[test]
fn lightweight_tag_counts_by_whose_it_is() {
    let (clean, broken) = (linted(&["R011"]), linted(&["R011", "R014"]));
    let own = ReleaseFaults {
        introduced: vec![ReleaseFault::LightweightTag { tag: "2.0.0+1".into() }],
        existing: vec![ReleaseFault::LabelMissing],
    };
    let faults = |head, base, release: &ReleaseFaults| {
        let compared = compared(head, base, release);
        assert!(compared.unclear.iter().all(|fault| fault.rule() == Some("R011")), "the tags themselves are known");
        (ids(&compared.introduced).join(" "), ids(&compared.existing).join(" "))
    };
    for base in [BaseLint::Known(&broken), BaseLint::Known(&clean)] {
        // abra shows R014 for both, because both clones have all tags.
        assert_eq!(faults(&broken, base, &own), ("R014".into(), "R011 label-missing".into()));
        assert_eq!(faults(&broken, base, &ReleaseFaults::default()), (String::new(), "R011 R014".into()));
        // Another abra may not look at tags.
        assert_eq!(faults(&clean, base, &own), ("R014".into(), "R011 label-missing".into()));
    }
    assert_eq!(faults(&broken, BaseLint::Unknown, &own).0, "R014");
    assert_eq!(faults(&broken, BaseLint::NoBase, &ReleaseFaults::default()), ("R011".into(), "R014".into()));
}

#[test]
fn error_without_a_readable_base_is_unclear() {
    let one = linted(&["R011"]);

    assert_compared(&one, BaseLint::Unknown, Faults { unclear: vec!["R011"], ..Faults::default() });
    assert_compared(&one, BaseLint::Known(&invalid()), Faults { unclear: vec!["R011"], ..Faults::default() });
    assert_compared(&invalid(), BaseLint::Unknown, Faults { unclear: vec!["invalid"], ..Faults::default() });
}

#[test]
fn errors_are_named_and_advice_is_apart_from_them() {
    assert_eq!(
        list_faults(&linted(&["R011", "R014"]).errors()),
        "R011 (all services have images), R014 (only annotated tags used)"
    );
    assert_eq!(linted(&["R001", "R011"]).advice(), ["R001"]);
}

fn introduced() -> Outcome {
    let rules = vec!["R011".into()];
    Outcome::Failed(Failure::new(Cause::Lint { rules }, "head has lint errors: R011"))
}

fn unclear() -> Outcome {
    Outcome::Unverified(Gap::Incomparable { what: "whether R011 is new is not known".into() })
}

fn unread() -> Outcome {
    Outcome::Unverified(Gap::Unread { what: "abra did not end within 50 s".into() })
}

fn begun() -> EventLog {
    EventLog::begun(&[Tier::Install]).under(planned(&request(&[Tier::Install])))
}

/// All steps pass after the lint step.
fn passing_after(log: EventLog) -> EventLog {
    log.pass(&["provision", "deploy", "verify-compose", "http", "stable", "still-stable", "undeploy", "cleanup"])
        .compared(Default::default())
}

/// A run whose lint step ends like this, without a table of rules.
fn log_without_rules(outcome: Outcome) -> EventLog {
    passing_after(begun().step("lint", outcome))
}

/// A run whose head breaks these rules, and whose lint step ends like this.
fn log_with_broken(rules: &[&str], outcome: Outcome) -> EventLog {
    passing_after(begun().linted(Subject::Head, rules).step("lint", outcome))
}

/// Expects the rung, the verdict and the exit code of a run in verdict, results and JUnit.
#[track_caller]
fn assert_lint_verdict(log: EventLog, rung: Status, outcome: VerdictOutcome, exit: u8) {
    let state = log.ends().state();

    let (verdict, lint_rung) = (verdict(&state), rungs(&state).lint);
    assert_eq!((lint_rung.status, verdict.outcome, exit_code(&state).code()), (rung, outcome, exit), "{verdict:?} {lint_rung:?}");
    let results = Results::from(&state);
    assert_eq!(results.rungs.lint, rung);
    assert_eq!(results.lint.expect("there is lint").status, rung);
    let junit = junit(&state).to_string().unwrap();
    let fails = junit.contains("<failure") || junit.contains("<error");
    assert_eq!(fails, outcome != VerdictOutcome::Green, "{junit}");
}

#[test]
fn lint_without_errors_passes_its_rung() {
    assert_lint_verdict(log_with_broken(&[], Outcome::Passed), Status::Pass, VerdictOutcome::Green, 0);
    assert_lint_verdict(log_with_broken(&["R001"], Outcome::Passed), Status::Pass, VerdictOutcome::Green, 0);
}

#[test]
fn lint_error_that_head_introduced_fails_rung_and_verdict() {
    assert_lint_verdict(log_with_broken(&["R011"], introduced()), Status::Fail, VerdictOutcome::Red, 1);
}

#[test]
fn lint_error_that_is_not_known_to_be_new_fails_the_rung_alone() {
    assert_lint_verdict(log_with_broken(&["R011"], Outcome::Passed), Status::Fail, VerdictOutcome::Green, 0);
    assert_lint_verdict(log_with_broken(&["R011"], unclear()), Status::Fail, VerdictOutcome::Green, 0);
}

#[test]
fn lint_that_was_not_read_or_did_not_run_is_inconclusive() {
    let without_lint = passing_after(begun());

    assert_lint_verdict(log_without_rules(unread()), Status::Unver, VerdictOutcome::Inconclusive, 3);
    assert_lint_verdict(without_lint, Status::Unver, VerdictOutcome::Inconclusive, 3);
}

#[test]
fn defect_of_taster_in_lint_has_the_exit_code_of_a_defect() {
    let defect = Outcome::Failed(failure(Owner::Harness));

    assert_lint_verdict(log_without_rules(defect), Status::Unver, VerdictOutcome::Inconclusive, 6);
}

#[test]
fn lint_that_passes_without_rules_leaves_its_rung_unverified() {
    assert_lint_verdict(log_without_rules(Outcome::Passed), Status::Unver, VerdictOutcome::Green, 0);
}

#[test]
fn results_name_the_rules_and_junit_has_one_case_of_lint() {
    let state = log_with_broken(&["R001", "R011"], introduced()).ends().state();

    let lint = Results::from(&state).lint.unwrap();
    let junit = junit(&state).to_string().unwrap();

    assert_eq!(lint.rules_failed, ["R011"]);
    assert_eq!(lint.introduced, ["R011"]);
    assert_eq!(lint.advice, ["R001"]);
    assert_eq!((lint.against, lint.rules.len()), (None, 4));
    assert_eq!(junit.matches("classname=\"lint\"").count(), 1, "{junit}");
    assert_eq!(junit.matches("head has lint errors: R011").count(), 1, "{junit}");
}

/// The summary on the terminal of a run whose lint step ends like this.
fn terminal_summary(outcome: Outcome) -> String {
    let state = log_with_broken(&["R011"], outcome).ends().state();
    ending(&state, EndingContext { folder: "/runs/1", results: true, page: false, paint: Paint::Plain })
}

#[test]
fn summary_on_the_terminal_has_lint_errors_that_the_verdict_leaves_out() {
    let before = terminal_summary(Outcome::Passed);
    let unclear = terminal_summary(unclear());

    assert!(before.contains("\n  lint: head has errors that base has too: R011 (all services have images)\n"), "{before}");
    assert!(unclear.contains("\n  lint: whether R011 is new is not known\n"), "{unclear}");
}

#[test]
fn summary_on_the_terminal_has_introduced_lint_errors_as_the_reason_alone() {
    let introduced = terminal_summary(introduced());

    assert!(!introduced.contains("  lint:"), "{introduced}");
    assert!(introduced.contains("why (recipe): head has lint errors: R011"), "{introduced}");
}

#[test]
fn run_that_ends_before_lint_leaves_its_rung_unverified() {
    let log = passing_after(begun()).cancelled(Cancel::Signal { signal: 15 }).ends();

    let rung = rungs(&log.state()).lint;

    assert_eq!((rung.status, rung.why.as_str()), (Status::Unver, "was not verified: the run ended before it did"));
}

fn branch() -> Branch {
    Branch { name: "main".into(), commit: "f".repeat(40).parse().unwrap() }
}

/// A host whose abra prints this table for head.
fn host_linting(head: impl Into<String>) -> SimHost {
    let mut host = SimHost::healthy();
    host.lint_tables[0] = head.into();
    host
}

/// A host whose abra prints these tables for head and for the branch that head is to be merged into.
fn host_comparing(head: impl Into<String>, base: impl Into<String>) -> SimHost {
    let mut host = host_linting(head);
    host.lint_tables[1] = base.into();
    host.branch = Some(branch());
    host
}

fn lint_rung(run: &FinishedRun) -> Status {
    run.results.rungs.lint
}

#[test]
fn errors_of_a_head_without_base_are_red() {
    run_on(host_linting(lint_table(&["R011"])))
        .expect(VerdictOutcome::Red)
        .reason("head has lint errors: R011 (all services have images)")
        .nothing_leaked();
}

#[test]
fn errors_that_head_introduced_after_a_clean_base_are_red() {
    let run = run_on(host_comparing(lint_table(&["R011"]), lint_table(&[])))
        .expect(VerdictOutcome::Red)
        .reason("base main does not have them: R011")
        .nothing_leaked();

    assert_eq!(run.results.lint.as_ref().unwrap().against.as_deref(), Some("main"));
}

#[test]
fn errors_that_base_has_too_are_a_warning_of_a_green_run() {
    let host = host_comparing(lint_table(&["R011"]), lint_table(&["R011", "R014"]));

    let run = run_on(host).expect(VerdictOutcome::Green).nothing_leaked();

    let lint = run.results.lint.as_ref().unwrap();
    assert_eq!((lint.status, lint.introduced.len()), (Status::Fail, 0));
    assert_eq!(run.results.warnings, ["head has lint errors, base main has them too: R011 (all services have images)"]);
}

#[test]
fn unreadable_lint_of_base_leaves_a_clean_head_green() {
    run_on(host_comparing(lint_table(&[]), "what?")).expect(VerdictOutcome::Green).nothing_leaked();
}

#[test]
fn unreadable_lint_of_base_makes_errors_of_head_a_warning_of_a_green_run() {
    let run = run_on(host_comparing(lint_table(&["R011"]), "what?")).expect(VerdictOutcome::Green).nothing_leaked();

    assert_eq!(lint_rung(&run), Status::Fail);
    assert!(run.results.warnings[0].contains("whether they are new is not known"), "{:?}", run.results.warnings);
}

#[test]
fn failure_to_lint_is_inconclusive_with_its_reason() {
    let behaving = |lint| SimHost::behaving(HostBehaviour { lint, ..HostBehaviour::WORKING });
    for (host, why) in [
        (behaving(CallBehaviour::Fails), "lint is not verified: abra ended with exit code 1: no network"),
        (behaving(CallBehaviour::Hangs), "lint is not verified: abra did not end within 50s"),
        (host_linting(""), "cannot be read: there is no table of rules"),
    ] {
        let run = run_on(host).case(why).expect(VerdictOutcome::Inconclusive).reason(why).nothing_leaked();

        assert_eq!(lint_rung(&run), Status::Unver, "{why}");
    }
}

#[test]
fn panic_in_lint_is_a_defect_of_taster() {
    let host = SimHost::behaving(HostBehaviour { lint: CallBehaviour::Panics, ..HostBehaviour::WORKING });

    let run = run_on(host).finish();

    assert_eq!(lint_rung(&run), Status::Unver);
    run.expect_with_exit(VerdictOutcome::Inconclusive, 6).reason("step lint panicked").nothing_leaked();
}
