//! Files, their types, and folders.

use harness::author::{Suite, TestContext, TestError, ensure};

use super::_files::{remove, write};

pub fn suite() -> Suite {
    Suite::new()
        .health("nginx answers", answers)
        .roundtrip("a file is served byte for byte", served)
        .distinctive("the type of a file follows its ending", types)
        .distinctive("a folder shows its index page and no list of its files", folder)
}

/// An empty site has no page, which nginx says with 403.
async fn answers(cx: TestContext) -> Result<(), TestError> {
    let status = cx.get("/").await?.status();
    ensure(matches!(status, 200 | 403), format!("/ answers {status}"))
}

async fn served(cx: TestContext) -> Result<(), TestError> {
    let text = format!("  Hello from {}.\n\tA tab, a dollar $HOME, \u{e9}\u{1f426}\n\n", cx.domain());
    write(&cx, "/roundtrip.txt", &text).await?;
    let file = cx.get("/roundtrip.txt").await?.expect(200)?;
    ensure(file.text() == text, format!("the file is {:?}", file.text()))?;
    remove(&cx, "/roundtrip.txt").await?;
    cx.get("/roundtrip.txt").await?.expect(404).map(drop)
}

async fn types(cx: TestContext) -> Result<(), TestError> {
    for (ending, expected) in [
        ("html", "text/html"),
        ("txt", "text/plain"),
        ("css", "text/css"),
        ("js", "application/javascript"),
        ("json", "application/json"),
        ("svg", "image/svg+xml"),
    ] {
        let path = format!("/types/file.{ending}");
        write(&cx, &path, "content").await?;
        let file = cx.get(&path).await?.expect(200)?;
        let found = file.header("content-type").unwrap_or("none");
        ensure(found.split(';').next() == Some(expected), format!("{path} has the type {found}, not {expected}"))?;
    }
    remove(&cx, "/types").await
}

async fn folder(cx: TestContext) -> Result<(), TestError> {
    write(&cx, "/folder/other.txt", "not listed").await?;
    cx.get("/folder/").await?.expect(403)?;
    write(&cx, "/folder/index.html", "<h1>The index</h1>").await?;
    cx.get("/folder/").await?.expect(200)?.contains("The index")?;
    remove(&cx, "/folder").await
}
