//! The page in a browser.

use harness::author::{Suite, TestContext, TestError, ensure};

pub fn suite() -> Suite {
    Suite::new().distinctive("a browser shows the page", shown)
}

async fn shown(cx: TestContext) -> Result<(), TestError> {
    let page = cx.browser().await?;
    let status = page.goto("/").await?;
    ensure(status == 200, format!("the page answers {status}"))?;
    let heading = page.text("h1").await?;
    ensure(heading.starts_with("hello "), format!("the heading is {heading:?}"))?;
    let errors = page.console_errors().await?;
    ensure(errors.is_empty(), format!("the console shows {}", errors.join("; ")))
}
