//! API for authors of packs: tests in a [`Suite`], hooks in a [`Lifecycle`], both of plain async functions that take a
//! [`TestContext`].
//!
//! Each function of a pack runs in its own process, on an app that the run has deployed. A function cannot deploy.
//!
//! ```
//! use harness::author::{TestContext, TestError, Suite, ensure};
//!
//! /// The entry point of a file below `custom/`.
//! pub fn suite() -> Suite {
//!     Suite::new().roundtrip("a post is read back", read_back)
//! }
//!
//! async fn read_back(cx: TestContext) -> Result<(), TestError> {
//!     let id = cx.post("/posts").body("Hello").await?.expect(201)?.text().trim().to_owned();
//!     let post = cx.get(&format!("/posts/{id}")).await?.expect(200)?;
//!     ensure(post.text() == "Hello", format!("the post is now {:?}", post.text()))
//! }
//! # assert_eq!(suite().names().collect::<Vec<_>>(), ["a post is read back"]);
//! ```

mod browser;
mod database;
mod evidence;
mod http;
mod lifecycle;
mod linked;
mod notes;
mod open_browser;
mod pack_main;
mod parity;
mod screenshot;
mod soft;
mod soft_failures;
mod suite;
mod test_context;
mod test_error;

pub use browser::Browser;
pub use database::Db;
pub use http::{Reply, RequestBuilder};
pub use lifecycle::{ConfigureContext, Lifecycle};
pub use linked::{BadPack, Linked, SuiteFile};
pub use pack_main::main;
pub use parity::{Parity, parity};
pub use screenshot::take_screenshot;
pub use soft::Soft;
pub use suite::Suite;
pub use test_context::{ExecOutput, TestContext};
pub use test_error::{TestError, ensure};

use futures_util::future::LocalBoxFuture;

/// The result of a pack's function.
pub type Checked = Result<(), TestError>;

/// A boxed function of a pack.
pub(crate) type Function = Box<dyn Fn(TestContext) -> LocalBoxFuture<'static, Checked> + Send>;

fn boxed<F, Fut>(function: F) -> Function
where
    F: Fn(TestContext) -> Fut + Send + 'static,
    Fut: Future<Output = Checked> + 'static,
{
    Box::new(move |cx| Box::pin(function(cx)))
}
