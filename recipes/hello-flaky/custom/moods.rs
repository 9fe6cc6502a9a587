//! Tests that end in other ways than a recipe's should, for stories about what a run makes of them.

use harness::author::{TestContext, TestError, Suite, ensure};

pub fn suite() -> Suite {
    Suite::new()
        .roundtrip("it passes at the second attempt", second)
        .distinctive("it takes its process with it", crash)
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
    checks.that(page.attempt() > 0, "it was answered before it was asked");
    Ok(())
}
