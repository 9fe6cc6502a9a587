//! The tests of one file.

use super::{Checked, Function, TestContext, boxed};
use crate::model::pack::TestKind;

/// The tests of one file below `custom/`, each a plain async function with a sentence as its name.
///
/// ```
/// use harness::author::{TestContext, TestError, Suite};
///
/// pub fn suite() -> Suite {
///     Suite::new()
///         .health("the health page answers", healthy)
///         .distinctive("the page counts posts", counts)
/// }
///
/// async fn healthy(cx: TestContext) -> Result<(), TestError> {
///     cx.get("/health").await?.expect(200)?;
///     Ok(())
/// }
///
/// async fn counts(cx: TestContext) -> Result<(), TestError> {
///     let page = cx.get("/").await?.expect(200)?;
///     page.contains("Posts:")
/// }
/// # assert_eq!(suite().names().count(), 2);
/// ```
#[derive(Default)]
pub struct Suite {
    tests: Vec<Test>,
}

pub(super) struct Test {
    pub(super) name: &'static str,
    pub(super) kind: TestKind,
    pub(super) run: Function,
}

impl Suite {
    /// A suite without tests.
    pub fn new() -> Self {
        Self::default()
    }

    /// A test that the app reports itself healthy.
    pub fn health<F, Fut>(self, name: &'static str, test: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.test(TestKind::Health, name, test)
    }

    /// A test that creates data and reads it back.
    pub fn roundtrip<F, Fut>(self, name: &'static str, test: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.test(TestKind::Roundtrip, name, test)
    }

    /// A test of the app's distinctive feature.
    pub fn distinctive<F, Fut>(self, name: &'static str, test: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.test(TestKind::Distinctive, name, test)
    }

    /// A test of this kind.
    pub fn test<F, Fut>(mut self, kind: TestKind, name: &'static str, test: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.tests.push(Test { name, kind, run: boxed(test) });
        self
    }

    /// The names of the tests, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.tests.iter().map(|test| test.name)
    }

    pub(super) fn tests(&self) -> &[Test] {
        &self.tests
    }

    pub(super) fn into_tests(self) -> Vec<Test> {
        self.tests
    }
}
