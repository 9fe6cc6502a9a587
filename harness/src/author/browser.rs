//! A browser as a test uses it: one window on the app, waited for and not slept for.

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

use super::{Failed, TestContext};
use crate::{
    adapters::browser::{Act, Line, NoBrowser, NotDone, Session, Unloaded},
    model::{
        protocol::{Attachment, Context, Ended},
        time::format_duration,
    },
};

/// How long the page is waited for when nothing else is said.
const BUDGET: Duration = Duration::from_secs(30);
/// The pause between two looks at the page, at first and at most; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often a page is loaded again that lost parts of itself: what is lost each time is the app's own.
const RELOADS: u32 = 3;
/// How long gathering the evidence of one browser may take: the process is ended soon after its function was.
const GATHER: Duration = Duration::from_millis(1500);

/// A window of a browser of the function's own. CSS selectors name what is on the page; each of them is waited for, for 30 s or the
/// budget that is given.
///
/// ```no_run
/// use harness::author::{TestContext, Failed, ensure};
///
/// async fn signs_in(cx: TestContext) -> Result<(), Failed> {
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

/// A browser, and what it wrote to its console so far.
struct Opened {
    session: Session,
    console: Mutex<Vec<Line>>,
    /// Whether something was done on the page that is shown, which would be lost if it were loaded again.
    touched: AtomicBool,
    /// How often it was loaded again.
    reloads: AtomicU32,
}

impl Opened {
    /// Whether parts of the page that is shown were lost with their connection and it is to be loaded again; they are forgotten then.
    async fn lost_parts(&self) -> bool {
        if self.console().await.is_err() || self.reloads.load(Ordering::Relaxed) == RELOADS {
            return false;
        }
        let mut console = locked(&self.console);
        let all = console.len();
        console.retain(|line| !line.is_lost_part());
        let lost = console.len() < all;
        self.reloads.fetch_add(u32::from(lost), Ordering::Relaxed);
        lost
    }

    /// Loads the page again if parts of it were lost and nothing has been done on it yet.
    async fn mend(&self) {
        if !self.touched.load(Ordering::Relaxed) && self.lost_parts().await {
            // What cannot be loaded now is seen to be lost once more.
            let _ = self.session.reload().await;
        }
    }

    /// All that was written to the console until now.
    async fn console(&self) -> Result<Vec<Line>, String> {
        let news = self.session.console().await?;
        let mut console = locked(&self.console);
        console.extend(news);
        Ok(console.clone())
    }
}

impl Browser {
    pub(super) async fn open(cx: TestContext, at: &'static Location<'static>) -> Result<Self, Failed> {
        let context = cx.context();
        let session = Session::open(&context.browser, &context.host(), &context.room).await.map_err(|error| match error {
            // Nothing is known of the app without a browser, whyever there is none, and that is not the app's fault.
            NoBrowser::Absent { .. } | NoBrowser::Broken { .. } => Failed::tool_absent(error.to_string(), at),
        })?;
        let opened =
            Arc::new(Opened { session, console: Mutex::default(), touched: AtomicBool::new(false), reloads: AtomicU32::new(0) });
        cx.evidence().kept().sessions.push(opened.clone());
        Ok(Self { cx, opened, budget: BUDGET })
    }

    /// Waits so long for a page, or for what is on it.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Loads a page of the app, or a whole address, and gives the status of its answer. As long as there is no connection, or a 502,
    /// 503 or 504, which an ingress says of an app that it cannot reach, it is tried again. A page that lost parts of itself with their
    /// connection is loaded again, too, also later, as long as nothing has been clicked or filled in on it.
    ///
    /// # Errors
    /// When there is no page, or its certificate is not trusted.
    #[track_caller]
    pub fn goto(&self, path: &str) -> impl Future<Output = Result<u16, Failed>> {
        let at = Location::caller();
        let url = if path.starts_with('/') { self.cx.url(path) } else { path.to_owned() };
        async move {
            let what = format!("the browser at {url}");
            self.opened.touched.store(false, Ordering::Relaxed);
            self.opened.reloads.store(0, Ordering::Relaxed);
            let tried = async || match self.opened.session.load(&url).await {
                Ok(_) if self.opened.lost_parts().await => {
                    Err(NotDone::NotYet("parts of it were lost with their connection".into()))
                }
                Ok(status) => Ok(status),
                Err(Unloaded::Unreached(said)) => Err(NotDone::NotYet(said)),
                Err(Unloaded::NoPage(said)) => Err(NotDone::Never(said)),
            };
            self.again(&what, at, tried).await
        }
    }

    /// Waits until something shows.
    ///
    /// # Errors
    /// When it does not within the budget.
    #[track_caller]
    pub fn wait_for(&self, css: &str) -> impl Future<Output = Result<(), Failed>> {
        let done = self.act(css, Act::See, Location::caller());
        async move { done.await.map(drop) }
    }

    /// The text of an element, as it shows.
    ///
    /// # Errors
    /// When it is not there within the budget.
    #[track_caller]
    pub fn text(&self, css: &str) -> impl Future<Output = Result<String, Failed>> {
        self.act(css, Act::Text, Location::caller())
    }

    /// Clicks an element once it can be clicked.
    ///
    /// # Errors
    /// When it cannot be within the budget.
    #[track_caller]
    pub fn click(&self, css: &str) -> impl Future<Output = Result<(), Failed>> {
        let done = self.act(css, Act::Click, Location::caller());
        async move { done.await.map(drop) }
    }

    /// Empties a field and types into it.
    ///
    /// # Errors
    /// When that cannot be done within the budget.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) -> impl Future<Output = Result<(), Failed>> {
        let done = self.act(css, Act::Fill(text), Location::caller());
        async move { done.await.map(drop) }
    }

    /// What a script returns that is run in the page: `return document.title`.
    ///
    /// # Errors
    /// What it throws.
    #[track_caller]
    pub fn eval(&self, script: &str) -> impl Future<Output = Result<Value, Failed>> {
        let at = Location::caller();
        async move { self.opened.session.eval(script).await.map_err(|said| Failed::at_place(format!("the script: {said}"), at)) }
    }

    /// All errors that the console shows since the browser was started: uncaught ones, those that the page reports, and what could
    /// not be loaded.
    ///
    /// # Errors
    /// When the console cannot be read.
    #[track_caller]
    pub fn console_errors(&self) -> impl Future<Output = Result<Vec<String>, Failed>> {
        let at = Location::caller();
        async move {
            let console = self.opened.console().await.map_err(|said| Failed::at_place(format!("the console: {said}"), at))?;
            Ok(console.into_iter().filter(|line| line.severe).map(|line| line.text).collect())
        }
    }

    /// Leaves a picture of the window among the evidence of the run, as `<name>.png`.
    ///
    /// # Errors
    /// When none can be taken.
    #[track_caller]
    pub fn screenshot(&self, name: &str) -> impl Future<Output = Result<(), Failed>> {
        let at = Location::caller();
        async move {
            let picture = self.picture(at).await?;
            let kept = self.cx.evidence().attach(&self.cx.context().room, &format!("{name}.png"), &picture);
            kept.map_err(|error| Failed::at_place(format!("the picture {name} cannot be kept: {error}"), at))
        }
    }

    pub(super) async fn picture(&self, at: &Location<'_>) -> Result<Vec<u8>, Failed> {
        let taken = self.opened.session.picture().await;
        taken.map_err(|said| Failed::at_place(format!("no picture of the window: {said}"), at))
    }

    async fn act(&self, css: &str, act: Act<'_>, at: &'static Location<'static>) -> Result<String, Failed> {
        let tried = async || {
            let done = self.opened.session.act(css, act).await;
            match (&done, act) {
                (Ok(_), Act::Click | Act::Fill(_)) => self.opened.touched.store(true, Ordering::Relaxed),
                (Ok(_), Act::See | Act::Text) | (Err(NotDone::Never(_)), _) => {}
                (Err(NotDone::NotYet(_)), _) => self.opened.mend().await,
            }
            done
        };
        self.again(&format!("the page's {css:?}"), at, tried).await
    }

    /// Tries something until it is done, or cannot be, or the budget is used up.
    async fn again<T>(
        &self,
        what: &str,
        at: &'static Location<'static>,
        mut tried: impl AsyncFnMut() -> Result<T, NotDone>,
    ) -> Result<T, Failed> {
        let began = Instant::now();
        let mut pause = PAUSE.0;
        loop {
            let said = match tried().await {
                Ok(done) => return Ok(done),
                Err(NotDone::Never(said)) => return Err(Failed::at_place(format!("{what}: {said}"), at)),
                Err(NotDone::NotYet(said)) => said,
            };
            if began.elapsed() + pause > self.budget {
                return Err(Failed::at_place(format!("{what}: {said}, for {}", format_duration(began.elapsed())), at));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// What a function leaves for whoever reads its results.
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

    /// Leaves a file with this name and content.
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

    /// Ends the function's browsers; of one that did not hold, each leaves a picture of its window and its console before.
    pub(super) async fn gather(&self, context: &Context, ended: &Ended) {
        let sessions = std::mem::take(&mut self.kept().sessions);
        match ended {
            Ended::Passed | Ended::NotApplicable { .. } | Ended::ToolAbsent { .. } | Ended::Unwritten => return,
            Ended::Failed { .. } | Ended::Panicked { .. } | Ended::TimedOut { .. } => {}
        }
        for (number, opened) in sessions.iter().enumerate() {
            let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
            // What cannot be gathered in time, or not be kept, changes nothing about how the function ended.
            let console = timeout(GATHER, told(opened)).await.unwrap_or_else(|_| "the browser does not answer\n".into());
            let _ = self.attach(&context.room, &format!("console{suffix}.txt"), console.as_bytes());
            if let Ok(Ok(picture)) = timeout(GATHER, opened.session.picture()).await {
                let _ = self.attach(&context.room, &format!("page{suffix}.png"), &picture);
            }
        }
    }
}

/// Where a browser is, and what its console says.
async fn told(opened: &Opened) -> String {
    let place = opened.session.eval("return [location.href, document.title];").await.unwrap_or_default();
    let word = |at: usize| place[at].as_str().unwrap_or("unknown").to_owned();
    let console = match opened.console().await {
        Ok(lines) if lines.is_empty() => "nothing was written to the console".to_owned(),
        Ok(lines) => lines.iter().map(Line::to_string).collect::<Vec<_>>().join("\n"),
        Err(said) => format!("the console cannot be read: {said}"),
    };
    format!("{}\n{}\n\n{console}\n", word(0), word(1))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
