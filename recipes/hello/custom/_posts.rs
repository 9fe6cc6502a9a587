//! Posts, as the app serves them.

use harness::author::{TestContext, TestError};

/// Makes a post and gives its address.
pub async fn make(cx: &TestContext, text: &str) -> Result<String, TestError> {
    let made = cx.post("/posts").body(text).await?.expect(201)?;
    let id: u64 = made.text().trim().parse()?;
    Ok(format!("/posts/{id}"))
}
