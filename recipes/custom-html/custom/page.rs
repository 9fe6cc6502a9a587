//! A page in a browser.

use harness::author::{Suite, TestContext, TestError, ensure};

use super::_files::{remove, write};

const PAGE: &str = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><link rel=stylesheet href=style.css>\
                    <h1>A page</h1><script src=script.js></script>";

pub fn suite() -> Suite {
    Suite::new().distinctive("a browser applies the style and runs the script of a page", rendered)
}

async fn rendered(cx: TestContext) -> Result<(), TestError> {
    write(&cx, "/site/index.html", PAGE).await?;
    write(&cx, "/site/style.css", "h1 { color: rgb(0, 128, 0) }").await?;
    write(&cx, "/site/script.js", "document.querySelector('h1').textContent += ' with a script'").await?;
    let page = cx.browser().await?;
    let status = page.goto("/site/").await?;
    ensure(status == 200, format!("the page answers {status}"))?;
    let heading = page.text("h1").await?;
    ensure(heading == "A page with a script", format!("the heading is {heading:?}"))?;
    let color = page.eval("return getComputedStyle(document.querySelector('h1')).color").await?;
    ensure(color == "rgb(0, 128, 0)", format!("the heading has the color {color}"))?;
    let errors = page.console_errors().await?;
    ensure(errors.is_empty(), format!("the console shows {}", errors.join("; ")))?;
    remove(&cx, "/site").await
}
