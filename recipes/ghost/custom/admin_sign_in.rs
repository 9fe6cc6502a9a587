//! The editor's sign-in, as the owner of the site goes through it.

use std::time::Duration;

use harness::author::{TestContext, TestError, Suite, ensure};

use super::_admin::{OWNER, PASSWORD, log_in};

/// The editor is a large program, and the machine may be busy with the site.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn suite() -> Suite {
    Suite::new().distinctive("the owner signs in with a browser", signs_in)
}

async fn signs_in(cx: TestContext) -> Result<(), TestError> {
    // Makes the owner where there is none yet; the browser has cookies of its own and is not signed in by it.
    log_in(&cx).await?;
    let page = cx.browser().await?.budget(PATIENCE);
    page.goto("/ghost/").await?;
    page.fill("input[name=identification]", OWNER).await?;
    page.fill("input[name=password]", PASSWORD).await?;
    page.click("button[type=submit]").await?;
    cx.until(PATIENCE, "the editor shows who is signed in", async || {
        let shown = page.eval("return document.body.innerText").await?;
        ensure(shown.as_str().is_some_and(|shown| shown.contains(OWNER)), format!("it shows {shown}"))
    })
    .await?;
    page.screenshot("signed-in").await
}
