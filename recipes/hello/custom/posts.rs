//! Posts: the feature of the app.

use harness::author::{Suite, TestContext, TestError, ensure};

use super::_posts::create;

pub fn suite() -> Suite {
    Suite::new()
        .health("the health page answers", health)
        .roundtrip("a post is read back", read_back)
        .distinctive("the page counts the posts", counted)
        .distinctive("the app has its secret", secret)
}

async fn health(cx: TestContext) -> Result<(), TestError> {
    cx.get("/health").await?.expect(200)?.contains("ok")
}

async fn read_back(cx: TestContext) -> Result<(), TestError> {
    let text = format!("Hello from {}", cx.domain());
    let address = create(&cx, &text).await?;
    let post = cx.get(&address).await?.expect(200)?;
    ensure(post.text() == text, format!("the post is now {:?}", post.text()))?;
    cx.request("DELETE", &address).await?.expect(200)?;
    ensure(cx.get(&address).await?.status() == 404, "a deleted post is still served")
}

async fn counted(cx: TestContext) -> Result<(), TestError> {
    create(&cx, "one more").await?;
    let posts = cx.get("/posts").await?.expect(200)?.text().split_whitespace().count();
    cx.get("/").await?.expect(200)?.contains(&format!("<p>Posts: {posts}</p>"))
}

async fn secret(cx: TestContext) -> Result<(), TestError> {
    cx.get("/").await?.expect(200)?.contains("<p>Secret: yes</p>")
}
