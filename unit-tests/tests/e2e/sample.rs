//! A sample of the tests, for a second engine where all of them take too long. The commit draws it: another commit runs others,
//! and one commit runs the same ones each time.

use std::hash::{DefaultHasher, Hash, Hasher};

use libtest_mimic::Trial;

use crate::print_notice;

/// The variable with the number of tests to draw.
const SIZE: &str = "TASTER_SAMPLE";
/// The file whose tests all run: they say how the engine and the stand-in for abra behave.
const ALWAYS: &str = "conformance::";

/// The tests that `TASTER_SAMPLE` asks for, or all of them without it. A line says how many are left out.
///
/// # Panics
/// If the variable is not a number.
pub(crate) fn draw(tests: Vec<Trial>) -> Vec<Trial> {
    let Ok(size) = std::env::var(SIZE) else { return tests };
    let size: usize = size.parse().unwrap_or_else(|_| panic!("{SIZE} is a number of tests, not {size:?}"));
    let commit = commit();
    let all = tests.len();
    let (mut drawn, mut others): (Vec<Trial>, Vec<Trial>) =
        tests.into_iter().partition(|test| test.name().starts_with(ALWAYS) || test.has_ignored_flag());
    others.sort_by_key(|test| order(&commit, test.name()));
    others.truncate(size);
    let sampled = others.len();
    drawn.extend(others);
    print_notice(&format!(
        "a sample: {sampled} tests, drawn by commit {commit}, and all of {ALWAYS}; {} of {all} tests are not run. Without {SIZE} \
         all of them run",
        all - drawn.len()
    ));
    drawn
}

/// The commit of this checkout.
fn commit() -> String {
    let git = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    git.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The place of a test in the order of the sample.
fn order(commit: &str, test: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (commit, test).hash(&mut hash);
    hash.finish()
}
