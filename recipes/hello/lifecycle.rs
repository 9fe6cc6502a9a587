//! A post that has to outlive whatever is done to the app.

use harness::author::{TestContext, Failed, Lifecycle, ensure};

use super::custom::_posts::make;

const TEXT: &str = "the canary sings";

pub fn lifecycle() -> Lifecycle {
    Lifecycle::new().canary("a post", plant, check, spoil)
}

async fn plant(cx: TestContext) -> Result<(), Failed> {
    cx.remember("post", &make(&cx, TEXT).await?)?;
    check(cx).await
}

async fn check(cx: TestContext) -> Result<(), Failed> {
    let post = cx.get(&cx.recall("post")?).await?.expect(200)?;
    ensure(post.text() == TEXT, format!("the post is now {:?}", post.text()))
}

async fn spoil(cx: TestContext) -> Result<(), Failed> {
    cx.ask("DELETE", &cx.recall("post")?).await?.expect(200)?;
    Ok(())
}
