//! What the author of a pack writes against: tests in a [`Suite`], everything else in a [`Lifecycle`], both of plain async
//! functions that are given a [`TestContext`].
//!
//! The functions of a pack run in a process of their own each, long after the harness has done its work: they look at an app
//! that runs, and nothing that they do can deploy one.
//!
//! ```
//! use harness::author::{TestContext, Failed, Suite, ensure};
//!
//! /// What a file below `custom/` has to have.
//! pub fn suite() -> Suite {
//!     Suite::new().roundtrip("a post is read back", read_back)
//! }
//!
//! async fn read_back(cx: TestContext) -> Result<(), Failed> {
//!     let id = cx.post("/posts").body("Hello").await?.expect(201)?.text().trim().to_owned();
//!     let post = cx.get(&format!("/posts/{id}")).await?.expect(200)?;
//!     ensure(post.text() == "Hello", format!("the post is now {:?}", post.text()))
//! }
//! # assert_eq!(suite().names().collect::<Vec<_>>(), ["a post is read back"]);
//! ```

mod browser;
mod cx;
mod database;
mod failed;
mod http;
mod lifecycle;
mod linked;
mod parity;
mod program;
mod shot;
mod soft;
mod suite;

pub use browser::Browser;
pub use cx::{Printed, TestContext};
pub use database::Db;
pub use failed::{Failed, ensure};
pub use http::{Reply, RequestBuilder};
pub use lifecycle::{Lifecycle, Wiring};
pub use linked::{BadPack, Linked, SuiteFile};
pub use parity::{Parity, parity};
pub use program::main;
pub use shot::shot;
pub use soft::Soft;
pub use suite::Suite;

use futures_util::future::LocalBoxFuture;

/// What a function of a pack comes to.
pub type Checked = Result<(), Failed>;

/// A function of a pack, whatever it is called.
pub(crate) type Function = Box<dyn Fn(TestContext) -> LocalBoxFuture<'static, Checked> + Send>;

fn boxed<F, Fut>(function: F) -> Function
where
    F: Fn(TestContext) -> Fut + Send + 'static,
    Fut: Future<Output = Checked> + 'static,
{
    Box::new(move |cx| Box::pin(function(cx)))
}
