//! Browser API for tests: one window on the app. Every call waits for a condition.

use std::{
    future::Future,
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use super::{TestContext, TestError, open_browser::OpenBrowser};
use crate::{
    adapters::browser::{Action, ActionError, LoadError, Session, SessionError},
    model::time::format_duration,
};

/// The default budget of a call.
const BUDGET: Duration = Duration::from_secs(30);
/// The first and the longest pause between two polls of the page; it doubles.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A window of the function's own browser. Each call waits for its CSS selector, for 30 s or the given budget.
///
/// ```no_run
/// use harness::author::{TestContext, TestError, ensure};
///
/// async fn signs_in(cx: TestContext) -> Result<(), TestError> {
///     let page = cx.browser().await?;
///     page.goto("/login").await?;
///     page.fill("input[name=user]", "owner").await?;
///     page.fill("input[name=password]", "four blue teapots sing").await?;
///     page.click("button[type=submit]").await?;
///     let heading = page.text("h1").await?;
///     ensure(heading == "Welcome", format!("the heading is {heading:?}"))?;
///     let errors = page.console_errors().await?;
///     ensure(errors.is_empty(), errors.join("; "))
/// }
/// ```
pub struct Browser {
    cx: TestContext,
    opened: Arc<OpenBrowser>,
    budget: Duration,
}

impl TestContext {
    /// Starts a browser with an empty profile, which ends with the function. It reaches only names of the host's zone. When the
    /// function fails, a screenshot and the console become evidence.
    ///
    /// # Errors
    /// When it does not start. A missing browser makes the test *not verified*: return the error with `?`.
    #[track_caller]
    pub fn browser(&self) -> impl Future<Output = Result<Browser, TestError>> {
        Browser::open(self.clone(), Location::caller())
    }
}

impl Browser {
    pub(super) async fn open(cx: TestContext, at: &'static Location<'static>) -> Result<Self, TestError> {
        let context = cx.context();
        let session = Session::open(&context.browser, &context.host(), &context.work_dir).await.map_err(|error| match error {
            // Without a browser the app is not verified, and that is not the app's fault.
            SessionError::Absent { .. } | SessionError::Broken { .. } => TestError::tool_absent(error.to_string(), at),
        })?;
        let opened = Arc::new(OpenBrowser::new(session));
        cx.evidence().add_browser(opened.clone());
        Ok(Self { cx, opened, budget: BUDGET })
    }

    /// Sets the budget of later calls.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Loads a page of the app or an absolute URL and returns the status. Retries while there is no connection or an answer 502,
    /// 503 or 504, with which an ingress reports an unreachable app. A page that lost resources with their connection is
    /// reloaded, also later, until the function clicks or fills in something.
    ///
    /// # Errors
    /// When there is no page, or its certificate is not trusted.
    #[track_caller]
    pub fn goto(&self, path: &str) -> impl Future<Output = Result<u16, TestError>> {
        let at = Location::caller();
        let url = if path.starts_with('/') { self.cx.url(path) } else { path.to_owned() };
        async move {
            let what = format!("the browser at {url}");
            self.opened.page_changes();
            let tried = async || match self.opened.session().load(&url).await {
                Ok(_) if self.opened.lost_resources().await => {
                    Err(ActionError::NotYet("parts of it were lost with their connection".into()))
                }
                Ok(status) => Ok(status),
                Err(LoadError::Unreached(message)) => Err(ActionError::NotYet(message)),
                Err(LoadError::NoPage(message)) => Err(ActionError::Never(message)),
            };
            self.again(&what, at, tried).await
        }
    }

    /// Waits until an element is visible.
    ///
    /// # Errors
    /// When it is not visible within the budget.
    #[track_caller]
    pub fn wait_for(&self, css: &str) -> impl Future<Output = Result<(), TestError>> {
        let done = self.act(css, Action::See, Location::caller());
        async move { done.await.map(drop) }
    }

    /// The visible text of an element.
    ///
    /// # Errors
    /// When it does not exist within the budget.
    #[track_caller]
    pub fn text(&self, css: &str) -> impl Future<Output = Result<String, TestError>> {
        self.act(css, Action::Text, Location::caller())
    }

    /// Clicks an element once it is clickable.
    ///
    /// # Errors
    /// When it is not clickable within the budget.
    #[track_caller]
    pub fn click(&self, css: &str) -> impl Future<Output = Result<(), TestError>> {
        let done = self.act(css, Action::Click, Location::caller());
        async move { done.await.map(drop) }
    }

    /// Empties a field and types into it.
    ///
    /// # Errors
    /// When that is impossible within the budget.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) -> impl Future<Output = Result<(), TestError>> {
        let done = self.act(css, Action::Fill(text), Location::caller());
        async move { done.await.map(drop) }
    }

    /// Runs a script in the page and returns its result: `return document.title`.
    ///
    /// # Errors
    /// The exception that it throws.
    #[track_caller]
    pub fn eval(&self, script: &str) -> impl Future<Output = Result<Value, TestError>> {
        let at = Location::caller();
        async move {
            self.opened.session().eval(script).await.map_err(|message| TestError::at_place(format!("the script: {message}"), at))
        }
    }

    /// The console's errors since the start of the browser: uncaught exceptions, reported errors, and resources that failed to
    /// load.
    ///
    /// # Errors
    /// When the console cannot be read.
    #[track_caller]
    pub fn console_errors(&self) -> impl Future<Output = Result<Vec<String>, TestError>> {
        let at = Location::caller();
        async move {
            let console =
                self.opened.console().await.map_err(|message| TestError::at_place(format!("the console: {message}"), at))?;
            Ok(console.into_iter().filter(|line| line.severe).map(|line| line.text).collect())
        }
    }

    /// Adds a screenshot of the window to the run's evidence, as `<name>.png`.
    ///
    /// # Errors
    /// When the screenshot fails.
    #[track_caller]
    pub fn screenshot(&self, name: &str) -> impl Future<Output = Result<(), TestError>> {
        let at = Location::caller();
        async move {
            let picture = self.picture(at).await?;
            let kept = self.cx.evidence().attach(&self.cx.context().work_dir, &format!("{name}.png"), &picture);
            kept.map_err(|error| TestError::at_place(format!("the screenshot {name} cannot be kept: {error}"), at))
        }
    }

    pub(super) async fn picture(&self, at: &Location<'_>) -> Result<Vec<u8>, TestError> {
        let taken = self.opened.session().screenshot().await;
        taken.map_err(|message| TestError::at_place(format!("no screenshot of the window: {message}"), at))
    }

    async fn act(&self, css: &str, act: Action<'_>, at: &'static Location<'static>) -> Result<String, TestError> {
        let tried = async || {
            let done = self.opened.session().act(css, act).await;
            match (&done, act) {
                (Ok(_), Action::Click | Action::Fill(_)) => self.opened.acted(),
                (Ok(_), Action::See | Action::Text) | (Err(ActionError::Never(_)), _) => {}
                (Err(ActionError::NotYet(_)), _) => self.opened.reload_if_incomplete().await,
            }
            done
        };
        self.again(&format!("the page's {css:?}"), at, tried).await
    }

    /// Retries an act until it succeeds, fails for good, or exceeds the budget.
    async fn again<T>(
        &self,
        what: &str,
        at: &'static Location<'static>,
        mut tried: impl AsyncFnMut() -> Result<T, ActionError>,
    ) -> Result<T, TestError> {
        let began = Instant::now();
        let mut pause = RETRY_PAUSE.0;
        loop {
            let message = match tried().await {
                Ok(done) => return Ok(done),
                Err(ActionError::Never(message)) => return Err(TestError::at_place(format!("{what}: {message}"), at)),
                Err(ActionError::NotYet(message)) => message,
            };
            if began.elapsed() + pause > self.budget {
                return Err(TestError::at_place(format!("{what}: {message}, for {}", format_duration(began.elapsed())), at));
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE.1);
        }
    }
}
