//! Files in the folder that nginx serves.

use harness::author::{TestContext, TestError, ensure};

/// Writes a file with this text below the served folder, and the folders above it.
pub async fn write(cx: &TestContext, path: &str, text: &str) -> Result<(), TestError> {
    let file = format!("{}{path}", root(cx).await?);
    run(cx, &["sh", "-c", "mkdir -p \"${1%/*}\" && printf %s \"$2\" > \"$1\"", "sh", &file, text]).await.map(drop)
}

/// Removes a file or a folder below the served folder.
pub async fn remove(cx: &TestContext, path: &str) -> Result<(), TestError> {
    let file = format!("{}{path}", root(cx).await?);
    run(cx, &["rm", "-r", &file]).await.map(drop)
}

/// The folder that nginx serves, as its own configuration names it: the path is the recipe's choice and may change.
async fn root(cx: &TestContext) -> Result<String, TestError> {
    let configuration = run(cx, &["nginx", "-T"]).await?;
    let mut roots = configuration.lines().filter_map(|line| line.trim().strip_prefix("root ")?.strip_suffix(';'));
    Ok(roots.next().ok_or("the configuration of nginx names no root")?.trim().to_owned())
}

/// Runs a command in the service, which has to succeed, and returns its output.
async fn run(cx: &TestContext, argv: &[&str]) -> Result<String, TestError> {
    let output = cx.exec("app", argv).await?;
    ensure(output.exit == 0, format!("{} ended with {}: {}", argv[0], output.exit, output.text.trim()))?;
    Ok(output.text)
}
