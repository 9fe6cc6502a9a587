//! Queries of the app's databases, by their own clients in their own containers.

use super::{TestContext, TestError};
use crate::{
    model::pack::Database,
    pure::recipe::database::{query, rows},
};

/// A database of the app that `recipe.toml` declares, queried by its own client in its own container.
///
/// ```no_run
/// use harness::author::{TestContext, TestError, ensure};
///
/// async fn an_order_is_in_the_database(cx: TestContext) -> Result<(), TestError> {
///     cx.post("/orders").body("tea").await?.expect(201)?;
///     let rows = cx.database("db")?.query("SELECT what FROM orders").await?;
///     ensure(rows == [["tea"]], format!("the orders are {rows:?}"))?;
///     // Redis takes a command.
///     let keys = cx.database("cache")?.query("KEYS order:*").await?;
///     ensure(keys.len() == 1, format!("the keys are {keys:?}"))
/// }
/// ```
pub struct Db {
    cx: TestContext,
    database: Database,
}

impl TestContext {
    /// A database of the app, by its service under `[[databases]]` in `recipe.toml`.
    ///
    /// # Errors
    /// When `recipe.toml` does not declare it.
    #[track_caller]
    pub fn database(&self, service: &str) -> Result<Db, TestError> {
        let databases = self.databases();
        match databases.iter().find(|database| database.service == service) {
            Some(database) => Ok(Db { cx: self.clone(), database: database.clone() }),
            None => {
                let known: Vec<&str> = databases.iter().map(|database| database.service.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(TestError::because(format!("recipe.toml names no database of service {service:?}; it names {known}")))
            }
        }
    }
}

impl Db {
    /// Runs an SQL query or a Redis command and returns the rows; for Redis each value is a row. SQL's null is `NULL`.
    ///
    /// # Errors
    /// When the database does not run or refuses the query, with its message.
    pub async fn query(&self, question: &str) -> Result<Vec<Vec<String>>, TestError> {
        let argv = query(&self.database, question)?;
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let printed = self.cx.exec(&self.database.service, &argv).await?;
        rows(self.database.kind, printed.exit, &printed.text).map_err(|message| {
            let Database { service, kind, .. } = &self.database;
            TestError::because(format!("{} in {service} refuses {question:?}: {message}", kind.name()))
        })
    }
}
