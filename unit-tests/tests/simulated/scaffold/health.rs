//! The app reports that it is healthy.

use harness::author::{Suite, TestContext, TestError, ensure};

pub fn suite() -> Suite {
    Suite::new().health("the health page answers", answers)
}

async fn answers(cx: TestContext) -> Result<(), TestError> {
    let page = cx.get("/health").await?;
    // A page that requires a log-in is the app's own, too.
    let healthy = page.status() < 400 || [401, 403].contains(&page.status());
    ensure(healthy, format!("it answers with {}", page.status()))
}
