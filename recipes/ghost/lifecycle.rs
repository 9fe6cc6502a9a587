//! A post that has to outlive whatever is done to the site.

use harness::author::{TestContext, TestError, Lifecycle};

use super::custom::_admin::{log_in, publish, rewrite};

const TEXT: &str = "the canary sings in the coal mine";

pub fn lifecycle() -> Lifecycle {
    Lifecycle::new().canary("a post", seed, check, corrupt)
}

async fn seed(cx: TestContext) -> Result<(), TestError> {
    log_in(&cx).await?;
    let post = publish(&cx, "A canary", TEXT).await?;
    cx.remember("id", &post.id)?;
    cx.remember("slug", &post.slug)
}

/// As a visitor sees it.
async fn check(cx: TestContext) -> Result<(), TestError> {
    cx.get(&format!("/{}/", cx.recall("slug")?)).await?.expect(200)?.contains(TEXT)
}

/// Another text and not its end: which addresses there are Ghost knows by heart, and a post that came back unseen would have none.
async fn corrupt(cx: TestContext) -> Result<(), TestError> {
    log_in(&cx).await?;
    rewrite(&cx, &cx.recall("id")?, "the canary is dead").await
}
