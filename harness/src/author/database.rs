//! The app's databases, asked by their own clients in their own containers.

use super::{Failed, TestContext};
use crate::{
    model::pack::Database,
    pure::recipe::database::{query, rows},
};

/// A database of the app that `recipe.toml` names, asked by its own client in its own container.
///
/// ```no_run
/// use harness::author::{TestContext, Failed, ensure};
///
/// async fn an_order_is_in_the_database(cx: TestContext) -> Result<(), Failed> {
///     cx.post("/orders").body("tea").await?.expect(201)?;
///     let rows = cx.database("db")?.query("SELECT what FROM orders").await?;
///     ensure(rows == [["tea"]], format!("the orders are {rows:?}"))?;
///     // Of Redis a command is asked.
///     let keys = cx.database("cache")?.query("KEYS order:*").await?;
///     ensure(keys.len() == 1, format!("the keys are {keys:?}"))
/// }
/// ```
pub struct Db {
    cx: TestContext,
    database: Database,
}

impl Db {
    pub(super) fn of(cx: TestContext, database: Database) -> Self {
        Self { cx, database }
    }

    /// Asks a question of SQL, or a command of Redis, and gives the rows of the answer; of Redis each value is a row. What is null in
    /// SQL is `NULL`.
    ///
    /// # Errors
    /// When the database does not run or refuses, with what it says.
    pub async fn query(&self, question: &str) -> Result<Vec<Vec<String>>, Failed> {
        let words = query(&self.database, question).map_err(Failed::because)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = self.cx.exec(&self.database.service, &words).await?;
        rows(self.database.kind, printed.exit, &printed.text).map_err(|said| {
            let Database { service, kind, .. } = &self.database;
            Failed::because(format!("{} in {service} refuses {question:?}: {said}", kind.name()))
        })
    }
}
