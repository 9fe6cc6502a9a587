//! Data that a user puts into the app comes back.

use harness::author::{Suite, TestContext, TestError};

pub fn suite() -> Suite {
    Suite::new().roundtrip("something is created and read back", read_back)
}

async fn read_back(_: TestContext) -> Result<(), TestError> {
    // Create something as a user would, read it back, and compare: docs/how-to/custom-tests.md shows how.
    // As long as this line stands, the test counts as not verified.
    Err(TestError::unwritten())
}
