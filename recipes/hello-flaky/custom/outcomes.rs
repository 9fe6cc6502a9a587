//! Tests with unusual outcomes, for the e2e tests of taster: a flaky test, a crash, and a test after the crash.

use harness::author::{Suite, TestContext, TestError, ensure};

pub fn suite() -> Suite {
    Suite::new()
        .roundtrip("it passes at the second attempt", second)
        .distinctive("it crashes its process", crash)
        .health("it passes at once", well)
}

async fn second(cx: TestContext) -> Result<(), TestError> {
    let tried = cx.recall("tried").is_ok();
    cx.remember("tried", "yes")?;
    ensure(tried, "it is the first attempt")
}

async fn crash(_: TestContext) -> Result<(), TestError> {
    std::process::abort()
}

async fn well(cx: TestContext) -> Result<(), TestError> {
    let page = cx.get("/").await?.expect(200)?;
    cx.attach("page.html", page.text())?;
    let checks = cx.soft();
    checks.that(page.text().contains("<title>"), "the page has no title");
    checks.that(page.attempt() > 0, "the answer took no attempt");
    Ok(())
}
