//! Whether the app says of itself that it is well.

use harness::author::{Failed, Suite, TestContext, ensure};

pub fn suite() -> Suite {
    Suite::new().health("the health page answers", answers)
}

async fn answers(cx: TestContext) -> Result<(), Failed> {
    let page = cx.get("/health").await?;
    // A page that wants a log-in is the app's own, too.
    let well = page.status() < 400 || [401, 403].contains(&page.status());
    ensure(well, format!("it answers with {}", page.status()))
}
