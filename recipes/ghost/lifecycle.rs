//! A post that has to survive upgrade, backup and restore.

use harness::author::{Lifecycle, TestContext, TestError};

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

/// Reads the post as a visitor.
async fn check(cx: TestContext) -> Result<(), TestError> {
    cx.get(&format!("/{}/", cx.recall("slug")?)).await?.expect(200)?.contains(TEXT)
}

/// Replaces the text instead of deleting the post: Ghost keeps the addresses of posts in memory, so a restored post would have no
/// page.
async fn corrupt(cx: TestContext) -> Result<(), TestError> {
    log_in(&cx).await?;
    rewrite(&cx, &cx.recall("id")?, "the canary is dead").await
}
