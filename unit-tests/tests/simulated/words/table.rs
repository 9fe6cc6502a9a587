//! The words that are retired, what is written instead, and where.

use super::{Rule, Scope};

const UNIT_TESTS: &[&str] = &["unit-tests/"];
const RUNNER: &[&str] = &["runner/"];
const AUTHOR: &[&str] = &["harness/src/author/", "recipes/"];
const ANYWHERE: &[&str] = &[];

const fn rule(scope: Scope, words: &'static [&'static str], write: &'static str) -> Rule {
    Rule { scope, words, write, below: ANYWHERE, except: ANYWHERE }
}

const fn rule_below(below: &'static [&'static str], scope: Scope, words: &'static [&'static str], write: &'static str) -> Rule {
    Rule { scope, words, write, below, except: ANYWHERE }
}

/// Terms that contain a retired word and are in use.
pub(super) const ALLOWED: &[&str] = &[
    "changed_bystander",
    "changed-bystander",
    "changed bystander",
    "Changed bystander",
    "ChangedBystander",
    "one-shot",
    "one_shot",
    "oneshot",
    "One-shot",
    "OneShot",
];

/// Files that map the names of version 1 of journal and results to those of today, and the files of this test.
pub(super) const EXEMPT: &[&str] = &[
    "harness/src/pure/run/plan/step_ids.rs",
    "harness/src/report/results/version1.rs",
    "unit-tests/tests/simulated/words.rs",
    "unit-tests/tests/simulated/words/",
];

pub(super) const RULES: &[Rule] = &[
    // Anywhere: code, comments, strings, documents, names of files.
    rule(Scope::Everywhere, &["told"], "CommandOutput, format_…; in sentences: reports, prints, is given"),
    rule(Scope::Everywhere, &["tale", "tales"], "event log"),
    rule(Scope::Everywhere, &["story", "stories"], "e2e test"),
    rule(Scope::Everywhere, &["retell", "retells", "retold"], "prior_redactions; redacts again"),
    rule(Scope::Everywhere, &["aftermath"], "crash_recovery"),
    rule(Scope::Everywhere, &["mortal", "mortals", "fate", "fates"], "crash injection, crash point; result"),
    rule(Scope::Everywhere, &["endless"], "background process"),
    rule(Scope::Everywhere, &["unregistered"], "no-op child register"),
    rule(Scope::Everywhere, &["nudge", "nudges", "nudged"], "wake-up"),
    rule(Scope::Everywhere, &["judgement", "judgements", "judgment"], "evaluation"),
    rule(Scope::Everywhere, &["hygiene"], "cleanup result"),
    rule(Scope::Everywhere, &["residue", "residues"], "leaked"),
    rule(Scope::Everywhere, &["bystander", "bystanders"], "changed bystander"),
    rule(Scope::Everywhere, &["rival", "rivals"], "baseline"),
    rule(Scope::Everywhere, &["burial"], "CHILD_EXIT_TIMEOUT"),
    rule(Scope::Everywhere, &["plant", "plants", "planted", "planting"], "seed"),
    rule(Scope::Everywhere, &["spoil", "spoils", "spoiled", "spoilt", "spoiling"], "corrupt"),
    rule(Scope::Everywhere, &["whoever", "somebody", "nobody"], "the thing of the code that acts"),
    rule(Scope::Everywhere, &["wired"], "configured"),
    // Names in the code.
    rule(Scope::Identifiers, &["tell", "tells", "telling"], "report, print, format_…"),
    rule(Scope::Identifiers, &["said"], "output_text, format_…"),
    rule(Scope::Identifiers, &["spoken"], "format_duration"),
    rule(Scope::Identifiers, &["heard", "hear"], "ProbeResult; received"),
    rule(Scope::Identifiers, &["judge", "judges", "judged"], "evaluate"),
    rule(Scope::Identifiers, &["calibrate", "calibrated", "calibration"], "verify compose"),
    rule(Scope::Identifiers, &["sweep", "sweeps", "sweeper"], "cleanup, cleanup plan"),
    rule(Scope::Identifiers, &["shot", "shots"], "screenshot"),
    rule(Scope::Identifiers, &["ground", "grounds"], "sandbox fixture"),
    rule(Scope::Identifiers, &["spare", "spares"], "scratch engine"),
    rule(Scope::Identifiers, &["growth"], "leak trend"),
    rule(Scope::Identifiers, &["figures"], "benchmarks"),
    Rule {
        scope: Scope::Identifiers,
        words: &["colour"],
        write: "VerdictOutcome, outcome",
        below: ANYWHERE,
        except: &["harness/src/report/terminal/", "harness/src/pure/run/blank_screenshot.rs", "sandbox/src/abra/terminal.rs"],
    },
    rule_below(&["harness/", "runner/", "sandbox/"], Scope::Identifiers, &["world"], "inventory"),
    rule(Scope::Exact, &["World"], "Inventory"),
    rule(Scope::Exact, &["look", "Look", "looks", "Looks"], "observe, Observation"),
    rule(Scope::Exact, &["Cx"], "TestContext"),
    rule(Scope::Exact, &["Ask"], "RequestBuilder"),
    rule(Scope::Exact, &["Asked"], "RunArgs"),
    rule(Scope::Exact, &["Reach", "Reaching"], "CleanupPorts"),
    rule_below(RUNNER, Scope::Exact, &["Manner"], "CleanupPolicy"),
    rule_below(UNIT_TESTS, Scope::Exact, &["Death"], "CrashPoint"),
    rule_below(UNIT_TESTS, Scope::Exact, &["Stage"], "TestEnv"),
    // Names of modules, whose words are fine elsewhere.
    rule(Scope::Files, &["asked"], "run_args"),
    rule(Scope::Files, &["outside"], "wiring; executables"),
    rule(Scope::Files, &["recall"], "secret_recovery"),
    rule(Scope::Files, &["guard"], "signals; guardian"),
    rule(Scope::Files, &["rungs"], "level"),
    rule(Scope::Files, &["post"], "post_deploy"),
    rule(Scope::Files, &["picture"], "blank_screenshot"),
    rule(Scope::Files, &["base"], "upgrade_base"),
    rule(Scope::Files, &["world", "worlds"], "inventory"),
    rule(Scope::Files, &["look"], "status; observe"),
    rule(Scope::Files, &["views"], "decodings"),
    rule(Scope::Files, &["wire"], "configure"),
    rule(Scope::Files, &["answer"], "http"),
    rule(Scope::Files, &["steady"], "stable"),
    rule(Scope::Files, &["prove"], "verify_head"),
    rule(Scope::Files, &["forget"], "forget_snapshot"),
    rule_below(&["harness/src/engine/"], Scope::Files, &["compare"], "compare_host"),
    Rule { scope: Scope::Files, words: &["keep"], write: "kept_app", below: ANYWHERE, except: &["harness/src/engine/steps/"] },
    // Ids of steps.
    rule(Scope::Literals, &["wire"], "configure"),
    rule(Scope::Literals, &["calibrate"], "verify-compose"),
    rule(Scope::Literals, &["answer", "answer-upgrade", "answer-restore"], "http"),
    rule(Scope::Literals, &["steady", "steady-upgrade", "steady-restore"], "stable"),
    rule(Scope::Literals, &["prove"], "verify-head"),
    rule(Scope::Literals, &["shot"], "screenshot"),
    rule(Scope::Literals, &["sweep"], "cleanup"),
    // Text that no single word gives away.
    rule(Scope::Text, &["world diff", "the world before", "the world after", "worlds were compared"], "inventory"),
    rule(Scope::Text, &["until_zero"], "cleanup until empty"),
    rule(Scope::Text, &["install hook", "zero.sh"], "configure hook; leftovers.sh"),
    rule(Scope::Text, &["figures.md", "benches/figures", "--bench figures"], "benchmarks"),
    rule(Scope::Text, &["tests/pure", "tests/swarm", "--test pure", "--test swarm"], "simulated, e2e"),
    rule(Scope::Text, &["fn words("], "log_tail, args"),
    rule(Scope::Text, &["fn part("], "finish"),
    rule_below(AUTHOR, Scope::Text, &[", Failed>", "struct Failed"], "TestError"),
];
