//! The admin API, with the site's owner as its user.

use harness::author::{RequestBuilder, TestContext, TestError};
use serde::Deserialize;
use serde_json::json;

pub const OWNER: &str = "owner@example.com";
pub const PASSWORD: &str = "four blue teapots sing";

/// A post in an answer of the admin API.
#[derive(Debug, Deserialize)]
pub struct Post {
    pub id: String,
    pub slug: String,
    pub updated_at: String,
}

#[derive(Deserialize)]
struct Posts {
    posts: Vec<Post>,
}

#[derive(Deserialize)]
struct Setups {
    setup: Vec<Setup>,
}

#[derive(Deserialize)]
struct Setup {
    status: bool,
}

/// Logs in as the owner. Creates the owner if the site has none.
pub async fn log_in(cx: &TestContext) -> Result<(), TestError> {
    let setup = "authentication/setup/";
    let setups: Setups = request(cx, "GET", setup).await?.expect(200)?.json()?;
    if !setups.setup.iter().any(|setup| setup.status) {
        let owner = json!({"setup": [{"name": "Owner", "email": OWNER, "password": PASSWORD, "blogTitle": "A site"}]});
        request(cx, "POST", setup).json(&owner)?.await?.expect(201)?;
    }
    request(cx, "POST", "session/").json(&json!({"username": OWNER, "password": PASSWORD}))?.await?.expect(201)?;
    Ok(())
}

/// A request to the admin API, which refuses requests from another origin than the site.
pub fn request(cx: &TestContext, method: &str, path: &str) -> RequestBuilder {
    let site = cx.url("");
    cx.request(method, &format!("/ghost/api/admin/{path}")).header("origin", site)
}

/// Publishes a post.
pub async fn publish(cx: &TestContext, title: &str, text: &str) -> Result<Post, TestError> {
    let post = json!({"posts": [{"title": title, "html": format!("<p>{text}</p>"), "status": "published"}]});
    only(request(cx, "POST", "posts/?source=html").json(&post)?.await?.expect(201)?.json()?)
}

/// The current version of a post.
pub async fn post(cx: &TestContext, id: &str) -> Result<Post, TestError> {
    only(request(cx, "GET", &format!("posts/{id}/")).await?.expect(200)?.json()?)
}

/// Replaces the text of a post.
pub async fn rewrite(cx: &TestContext, id: &str, text: &str) -> Result<(), TestError> {
    // A change names the version that it replaces, so that two editors do not overwrite each other.
    let updated_at = post(cx, id).await?.updated_at;
    let post = json!({"posts": [{"html": format!("<p>{text}</p>"), "updated_at": updated_at}]});
    request(cx, "PUT", &format!("posts/{id}/?source=html")).json(&post)?.await?.expect(200)?;
    Ok(())
}

fn only(posts: Posts) -> Result<Post, TestError> {
    posts.posts.into_iter().next().ok_or_else(|| "the answer has no post".into())
}
