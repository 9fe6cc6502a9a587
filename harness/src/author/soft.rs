//! Checks that are collected, so that one run tells of all that does not hold.

use std::sync::{Mutex, PoisonError};

use super::{Failed, TestContext};

/// Checks that do not end the function. When it ends, whatever it comes to by itself, it fails if one of them does not hold, and its
/// failure names them all, each with its line.
///
/// ```no_run
/// use harness::author::{TestContext, Failed};
///
/// async fn the_page_is_whole(cx: TestContext) -> Result<(), Failed> {
///     let page = cx.get("/").await?.expect(200)?;
///     let checks = cx.soft();
///     checks.that(page.text().contains("<title>"), "the page has no title");
///     checks.that(page.header("content-type") == Some("text/html"), "the page is no HTML");
///     checks.holds(cx.get("/robots.txt").await?.expect(200));
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Soft {
    cx: TestContext,
}

impl Soft {
    pub(super) fn of(cx: TestContext) -> Self {
        Self { cx }
    }

    /// Takes note of `sentence` unless `holds`, which it gives back.
    #[track_caller]
    pub fn that(&self, holds: bool, sentence: impl Into<String>) -> bool {
        if !holds {
            self.cx.collected().add(Failed::because(sentence));
        }
        holds
    }

    /// What a result has in it; takes note of a failure, with the line that the failure names.
    pub fn holds<T>(&self, result: Result<T, Failed>) -> Option<T> {
        result.map_err(|failed| self.cx.collected().add(failed)).ok()
    }
}

/// What was taken note of so far.
#[derive(Default)]
pub(super) struct Collected(Mutex<Vec<Failed>>);

impl Collected {
    fn add(&self, failed: Failed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(failed);
    }

    /// What a function came to that ended as `ended`: nothing collected changes nothing.
    pub(super) fn with(&self, ended: Result<(), Failed>) -> Result<(), Failed> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if all.is_empty() {
            return ended;
        }
        all.extend(ended.err().filter(Failed::applies));
        let told: Vec<String> = all.iter().map(|failed| format!("{} ({})", failed.sentence(), failed.at())).collect();
        Err(match (all.pop(), &told[..]) {
            (Some(only), [_]) => only,
            (_, told) => Failed::of_several(format!("{} checks do not hold: {}", told.len(), told.join("; "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_names_all_that_does_not_hold_each_with_its_line() {
        let told = |collected: &[&str], ended: Result<(), Failed>| {
            let all = Collected::default();
            collected.iter().for_each(|sentence| all.add(Failed::because(*sentence)));
            all.with(ended).map_err(|failed| (failed.sentence().to_owned(), failed.at().to_owned()))
        };
        assert_eq!(told(&[], Ok(())), Ok(()));
        assert_eq!(told(&[], Err(Failed::because("c"))).unwrap_err().0, "c");
        let (one, at) = told(&["a"], Ok(())).unwrap_err();
        assert!(one == "a" && at.contains("soft.rs:"), "{one} {at}");
        let (all, at) = told(&["a", "b"], Err(Failed::because("c"))).unwrap_err();
        assert!(all.starts_with("3 checks do not hold: a (") && all.contains("; b (") && all.contains("; c ("), "{all}");
        assert_eq!((all.matches("soft.rs:").count(), at.as_str()), (3, ""));
        let (other, _) = told(&["a"], Err(Failed::not_applicable("no mail"))).unwrap_err();
        assert_eq!(other, "a", "what does not hold is not made good by what does not apply");
    }
}
