//! Browser API for tests: one window on the app. Every call waits for a condition.

use std::{
    future::Future,
    io::{self, Write},
    panic::Location,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{TestContext, TestError};
use crate::{
    adapters::browser::{Action, ActionError, ConsoleLine, DriverError, LoadError, Session, SessionError},
    model::{
        protocol::{Attachment, Context, Ended},
        time::format_duration,
    },
};

/// The default budget of a call.
const BUDGET: Duration = Duration::from_secs(30);
/// The first and the longest pause between two polls of the page; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The maximum number of reloads of a page with lost resources. A resource that is lost each time is the app's fault.
const RELOADS: u32 = 3;
/// The budget for the evidence of one browser. The process ends soon after its function.
const GATHER: Duration = Duration::from_millis(1500);

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
    opened: Arc<Opened>,
    budget: Duration,
}

/// A browser with its console output.
struct Opened {
    session: Session,
    console: Mutex<Vec<ConsoleLine>>,
    /// Whether the function acted on the current page. A reload would lose that.
    touched: AtomicBool,
    /// The number of reloads.
    reloads: AtomicU32,
}

impl Opened {
    /// Whether the current page lost resources and must be reloaded. Resets the record of lost resources.
    async fn lost_parts(&self) -> bool {
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
    async fn mend(&self) {
        if !self.touched.load(Ordering::Relaxed) && self.lost_parts().await {
            // A resource that fails again is recorded again.
            let _ = self.session.reload().await;
        }
    }

    /// The console output so far.
    async fn console(&self) -> Result<Vec<ConsoleLine>, DriverError> {
        let news = self.session.console().await?;
        let mut console = locked(&self.console);
        console.extend(news);
        Ok(console.clone())
    }
}

impl Browser {
    pub(super) async fn open(cx: TestContext, at: &'static Location<'static>) -> Result<Self, TestError> {
        let context = cx.context();
        let session = Session::open(&context.browser, &context.host(), &context.room).await.map_err(|error| match error {
            // Without a browser the app is not verified, and that is not the app's fault.
            SessionError::Absent { .. } | SessionError::Broken { .. } => TestError::tool_absent(error.to_string(), at),
        })?;
        let opened =
            Arc::new(Opened { session, console: Mutex::default(), touched: AtomicBool::new(false), reloads: AtomicU32::new(0) });
        cx.evidence().kept().sessions.push(opened.clone());
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
            self.opened.touched.store(false, Ordering::Relaxed);
            self.opened.reloads.store(0, Ordering::Relaxed);
            let tried = async || match self.opened.session.load(&url).await {
                Ok(_) if self.opened.lost_parts().await => {
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
            self.opened.session.eval(script).await.map_err(|message| TestError::at_place(format!("the script: {message}"), at))
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
            let kept = self.cx.evidence().attach(&self.cx.context().room, &format!("{name}.png"), &picture);
            kept.map_err(|error| TestError::at_place(format!("the picture {name} cannot be kept: {error}"), at))
        }
    }

    pub(super) async fn picture(&self, at: &Location<'_>) -> Result<Vec<u8>, TestError> {
        let taken = self.opened.session.screenshot().await;
        taken.map_err(|message| TestError::at_place(format!("no picture of the window: {message}"), at))
    }

    async fn act(&self, css: &str, act: Action<'_>, at: &'static Location<'static>) -> Result<String, TestError> {
        let tried = async || {
            let done = self.opened.session.act(css, act).await;
            match (&done, act) {
                (Ok(_), Action::Click | Action::Fill(_)) => self.opened.touched.store(true, Ordering::Relaxed),
                (Ok(_), Action::See | Action::Text) | (Err(ActionError::Never(_)), _) => {}
                (Err(ActionError::NotYet(_)), _) => self.opened.mend().await,
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
        let mut pause = PAUSE.0;
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
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// The evidence of a function.
#[derive(Default)]
pub(super) struct Evidence {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sessions: Vec<Arc<Opened>>,
    attachments: Vec<Attachment>,
}

impl Evidence {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }

    /// Adds a file with this name and content.
    pub(super) fn attach(&self, room: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        if self.kept().attachments.iter().any(|known| known.name == name) {
            return Err(io::Error::other("two files are called so"));
        }
        let mut file = tempfile::Builder::new().prefix("attached-").tempfile_in(room)?;
        file.write_all(content)?;
        let (_, file) = file.keep().map_err(|error| error.error)?;
        self.kept().attachments.push(Attachment { name: name.to_owned(), file });
        Ok(())
    }

    pub(super) fn taken(&self) -> Vec<Attachment> {
        std::mem::take(&mut self.kept().attachments)
    }

    /// Ends the function's browsers. For a failed function each browser first leaves a screenshot and its console.
    pub(super) async fn gather(&self, context: &Context, ended: &Ended) {
        let sessions = std::mem::take(&mut self.kept().sessions);
        match ended {
            Ended::Passed | Ended::NotApplicable { .. } | Ended::ToolAbsent { .. } | Ended::Unwritten => return,
            Ended::Failed { .. } | Ended::Panicked { .. } | Ended::TimedOut { .. } => {}
        }
        for (number, opened) in sessions.iter().enumerate() {
            let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
            // Missing evidence does not change the function's result.
            let console = timeout(GATHER, console_text(opened)).await.unwrap_or_else(|_| "the browser does not answer\n".into());
            let _ = self.attach(&context.room, &format!("console{suffix}.txt"), console.as_bytes());
            if let Ok(Ok(picture)) = timeout(GATHER, opened.session.screenshot()).await {
                let _ = self.attach(&context.room, &format!("page{suffix}.png"), &picture);
            }
        }
    }
}

/// The address and the console of a browser, as text.
async fn console_text(opened: &Opened) -> String {
    let place = opened.session.eval("return [location.href, document.title];").await.unwrap_or_default();
    let word = |at: usize| place[at].as_str().unwrap_or("unknown").to_owned();
    let console = match opened.console().await {
        Ok(lines) if lines.is_empty() => "nothing was written to the console".to_owned(),
        Ok(lines) => lines.iter().map(ConsoleLine::to_string).collect::<Vec<_>>().join("\n"),
        Err(message) => format!("the console cannot be read: {message}"),
    };
    format!("{}\n{}\n\n{console}\n", word(0), word(1))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
