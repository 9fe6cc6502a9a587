//! Helpers for posts.

use harness::author::{TestContext, TestError};

/// Creates a post and returns its address.
pub async fn create(cx: &TestContext, text: &str) -> Result<String, TestError> {
    let created = cx.post("/posts").body(text).await?.expect(201)?;
    let id: u64 = created.text().trim().parse()?;
    Ok(format!("/posts/{id}"))
}
