//! Soft checks: a function reports all failed checks at its end.

use super::{TestContext, TestError};

/// Checks that do not end the function. At its end the function fails if a check failed, and its failure names all of them with
/// their lines.
///
/// ```no_run
/// use harness::author::{TestContext, TestError};
///
/// async fn the_page_is_whole(cx: TestContext) -> Result<(), TestError> {
///     let page = cx.get("/").await?.expect(200)?;
///     let checks = cx.soft();
///     checks.that(page.text().contains("<title>"), "the page has no title");
///     checks.that(page.header("content-type") == Some("text/html"), "the page is not HTML");
///     checks.holds(cx.get("/robots.txt").await?.expect(200));
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Soft {
    cx: TestContext,
}

impl TestContext {
    /// Soft checks: they do not end the function, which fails at its end with all failed checks.
    pub fn soft(&self) -> Soft {
        Soft { cx: self.clone() }
    }
}

impl Soft {
    /// Records `sentence` unless `holds`, and returns `holds`.
    #[track_caller]
    pub fn that(&self, holds: bool, sentence: impl Into<String>) -> bool {
        if !holds {
            self.cx.collected().add(TestError::because(sentence));
        }
        holds
    }

    /// The value of a result. Records its error, with the error's line.
    pub fn holds<T>(&self, result: Result<T, TestError>) -> Option<T> {
        result.map_err(|failed| self.cx.collected().add(failed)).ok()
    }
}
