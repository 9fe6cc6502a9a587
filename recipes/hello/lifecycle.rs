//! A post that has to survive upgrade, backup and restore.

use harness::author::{Lifecycle, TestContext, TestError, ensure};

use super::custom::_posts::create;

const TEXT: &str = "the canary sings";

pub fn lifecycle() -> Lifecycle {
    Lifecycle::new().canary("a post", seed, check, corrupt)
}

async fn seed(cx: TestContext) -> Result<(), TestError> {
    cx.remember("post", &create(&cx, TEXT).await?)?;
    check(cx).await
}

async fn check(cx: TestContext) -> Result<(), TestError> {
    let post = cx.get(&cx.recall("post")?).await?.expect(200)?;
    ensure(post.text() == TEXT, format!("the post is now {:?}", post.text()))
}

async fn corrupt(cx: TestContext) -> Result<(), TestError> {
    cx.request("DELETE", &cx.recall("post")?).await?.expect(200)?;
    Ok(())
}
