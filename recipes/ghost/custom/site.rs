//! The site for visitors and for clients of its API.

use std::time::Duration;

use harness::author::{Suite, TestContext, TestError, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::_admin::{log_in, publish, request};

pub fn suite() -> Suite {
    Suite::new()
        .health("the site answers with a theme", themed)
        .health("the admin API reports the version", version)
        .roundtrip("a published post is read on its page", published)
        .distinctive("the content API lists posts to a client with a key", listed)
        .distinctive("the content API needs a key", closed)
        .distinctive("the editor is served", editor)
}

async fn themed(cx: TestContext) -> Result<(), TestError> {
    let page = cx.get("/").await?.expect(200)?;
    page.contains("<meta name=\"generator\" content=\"Ghost")?;
    page.contains("/assets/")
}

#[derive(Deserialize)]
struct Site {
    site: About,
}

#[derive(Deserialize)]
struct About {
    version: String,
    url: String,
}

async fn version(cx: TestContext) -> Result<(), TestError> {
    let about: Site = cx.get("/ghost/api/admin/site/").await?.expect(200)?.json()?;
    ensure(about.site.version.starts_with("6."), format!("the version is {:?}", about.site.version))?;
    ensure(about.site.url == cx.url("/"), format!("the site's URL is {}", about.site.url))
}

async fn published(cx: TestContext) -> Result<(), TestError> {
    log_in(&cx).await?;
    let text = format!("Hello from {}", cx.domain());
    let post = publish(&cx, "A greeting", &text).await?;
    let page = format!("/{}/", post.slug);
    cx.get(&page).await?.expect(200)?.contains(&text)?;
    request(&cx, "DELETE", &format!("posts/{}/", post.id)).await?.expect(204)?;
    cx.until(Duration::from_secs(20), "the page of a deleted post is gone", async || cx.get(&page).await?.expect(404).map(drop))
        .await
}

#[derive(Deserialize)]
struct Integrations {
    integrations: Vec<Integration>,
}

#[derive(Deserialize)]
struct Integration {
    id: String,
    api_keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    r#type: String,
    secret: String,
}

#[derive(Deserialize)]
struct Listed {
    posts: Vec<Title>,
}

#[derive(Deserialize)]
struct Title {
    title: String,
}

async fn listed(cx: TestContext) -> Result<(), TestError> {
    log_in(&cx).await?;
    let post = publish(&cx, "Listed by key", "One of many.").await?;
    let wanted = json!({"integrations": [{"name": "A reader"}]});
    let created = request(&cx, "POST", "integrations/?include=api_keys").json(&wanted)?.await?.expect(201)?;
    let created: Integrations = created.json()?;
    let reader = created.integrations.first().ok_or("the answer has no integration")?;
    let key = reader.api_keys.iter().find(|key| key.r#type == "content").ok_or("the integration has no key for content")?;
    let posts: Listed = cx.get(&format!("/ghost/api/content/posts/?key={}", key.secret)).await?.expect(200)?.json()?;
    let titles: Vec<String> = posts.posts.into_iter().map(|post| post.title).collect();
    ensure(titles.iter().any(|title| title == "Listed by key"), format!("the posts are {titles:?}"))?;
    for path in [format!("posts/{}/", post.id), format!("integrations/{}/", reader.id)] {
        request(&cx, "DELETE", &path).await?.expect(204)?;
    }
    Ok(())
}

async fn closed(cx: TestContext) -> Result<(), TestError> {
    let refused: Value = cx.get("/ghost/api/content/settings/").await?.expect(403)?.json()?;
    ensure(refused["errors"][0]["type"] == "NoPermissionError", format!("the answer is {refused}"))
}

async fn editor(cx: TestContext) -> Result<(), TestError> {
    cx.get("/ghost/").await?.expect(200)?.contains("<script")
}
