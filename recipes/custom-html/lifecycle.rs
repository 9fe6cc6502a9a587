//! A page that has to survive upgrade, backup and restore.

use harness::author::{Lifecycle, TestContext, TestError, ensure};

use super::custom::_files::{remove, write};

const PATH: &str = "/canary/index.html";
const PAGE: &str = "<h1>The canary sings</h1>";

pub fn lifecycle() -> Lifecycle {
    Lifecycle::new().canary("a page", seed, check, corrupt)
}

async fn seed(cx: TestContext) -> Result<(), TestError> {
    write(&cx, PATH, PAGE).await?;
    check(cx).await
}

async fn check(cx: TestContext) -> Result<(), TestError> {
    let page = cx.get("/canary/").await?.expect(200)?;
    ensure(page.text() == PAGE, format!("the page is now {:?}", page.text()))
}

async fn corrupt(cx: TestContext) -> Result<(), TestError> {
    remove(&cx, "/canary").await
}
