//! The sign-in of the site's owner to the editor, in a browser.

use std::time::Duration;

use harness::author::{Suite, TestContext, TestError, ensure};

use super::_admin::{OWNER, PASSWORD, log_in};

/// The editor is a large program, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn suite() -> Suite {
    Suite::new().distinctive("the owner signs in with a browser", signs_in)
}

async fn signs_in(cx: TestContext) -> Result<(), TestError> {
    // Creates the owner if the site has none. The browser has separate cookies, so this does not sign it in.
    log_in(&cx).await?;
    let page = cx.browser().await?.budget(PATIENCE);
    page.goto("/ghost/").await?;
    page.fill("input[name=identification]", OWNER).await?;
    page.fill("input[name=password]", PASSWORD).await?;
    page.click("button[type=submit]").await?;
    cx.until(PATIENCE, "the editor shows the signed-in owner", async || {
        let shown = page.eval("return document.body.innerText").await?;
        ensure(shown.as_str().is_some_and(|shown| shown.contains(OWNER)), format!("the page shows {shown}"))
    })
    .await?;
    page.screenshot("signed-in").await
}
