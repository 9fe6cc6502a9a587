//! An open browser of a pack's function, with its console output and the reloads of its page.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use crate::adapters::browser::{ConsoleLine, DriverError, Session};

/// The maximum number of reloads of a page with lost resources. A resource that is lost each time is the app's fault.
const RELOADS: u32 = 3;

/// A browser with its console output.
pub(super) struct OpenBrowser {
    session: Session,
    console: Mutex<Vec<ConsoleLine>>,
    /// Whether the function acted on the current page. A reload would lose that.
    touched: AtomicBool,
    /// The number of reloads.
    reloads: AtomicU32,
}

impl OpenBrowser {
    pub(super) fn new(session: Session) -> Self {
        Self { session, console: Mutex::default(), touched: AtomicBool::new(false), reloads: AtomicU32::new(0) }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Another page is about to be loaded: neither acts nor reloads count any more.
    pub(super) fn page_changes(&self) {
        self.touched.store(false, Ordering::Relaxed);
        self.reloads.store(0, Ordering::Relaxed);
    }

    /// The function acted on the page.
    pub(super) fn acted(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// Whether the current page lost resources and must be reloaded. Resets the record of lost resources.
    pub(super) async fn lost_resources(&self) -> bool {
        if self.console().await.is_err() || self.reloads.load(Ordering::Relaxed) == RELOADS {
            return false;
        }
        let mut console = locked(&self.console);
        let all = console.len();
        console.retain(|line| !line.is_lost_resource());
        let lost = console.len() < all;
        self.reloads.fetch_add(u32::from(lost), Ordering::Relaxed);
        lost
    }

    /// Reloads the page if it lost resources and the function has not acted on it yet.
    pub(super) async fn reload_if_incomplete(&self) {
        if !self.touched.load(Ordering::Relaxed) && self.lost_resources().await {
            // A resource that fails again is recorded again.
            let _ = self.session.reload().await;
        }
    }

    /// The console output so far.
    pub(super) async fn console(&self) -> Result<Vec<ConsoleLine>, DriverError> {
        let news = self.session.console().await?;
        let mut console = locked(&self.console);
        console.extend(news);
        Ok(console.clone())
    }

    /// The address and the console of a browser, as text.
    pub(super) async fn console_text(&self) -> String {
        let place = self.session.eval("return [location.href, document.title];").await.unwrap_or_default();
        let word = |at: usize| place[at].as_str().unwrap_or("unknown").to_owned();
        let console = match self.console().await {
            Ok(lines) if lines.is_empty() => "nothing was written to the console".to_owned(),
            Ok(lines) => lines.iter().map(ConsoleLine::to_string).collect::<Vec<_>>().join("\n"),
            Err(message) => format!("the console cannot be read: {message}"),
        };
        format!("{}\n{}\n\n{console}\n", word(0), word(1))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
