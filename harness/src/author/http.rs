//! HTTP API for tests: a request that is retried while the app is unreachable, and its answer.

use std::{
    collections::BTreeMap,
    fmt,
    future::IntoFuture,
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::LocalBoxFuture;
use serde::{Serialize, de::DeserializeOwned};

use super::{TestError, notes::Notes};
use crate::{
    adapters::web::{HttpRequest, HttpsWeb},
    model::time::format_duration,
    ports::{HttpView, WebError},
};

/// The default budget of a request.
const BUDGET: Duration = Duration::from_secs(30);
/// The time-out of one attempt.
const ATTEMPT: Duration = Duration::from_secs(20);
/// The first and the longest pause between two attempts; it doubles.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The number of characters of a body that a sentence quotes.
const QUOTED: usize = 200;

/// A request. Awaiting it sends it.
///
/// It is retried for 30 s or the given budget while there is no connection or an answer 502 or 503, with which an ingress reports
/// an unreachable app. After a 504 or a broken connection it is retried only if the method is idempotent. The results note the
/// retries.
///
/// ```no_run
/// # use harness::author::{TestContext, TestError};
/// # use std::time::Duration;
/// # async fn example(cx: TestContext) -> Result<(), TestError> {
/// let made = cx.post("/api/rooms").header("authorization", "Bearer x").json(&["quiet"])?.await?.expect(201)?;
/// let room: serde_json::Value = made.json()?;
/// let page = cx.get("/slow").budget(Duration::from_secs(90)).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is made when it is awaited"]
pub struct RequestBuilder {
    web: Arc<HttpsWeb>,
    notes: Notes,
    request: HttpRequest,
    budget: Duration,
    at: &'static Location<'static>,
}

impl RequestBuilder {
    #[track_caller]
    pub(super) fn new(web: Arc<HttpsWeb>, notes: Notes, method: &str, url: String) -> Self {
        let request = HttpRequest { method: method.to_owned(), url, headers: Vec::new(), body: None };
        Self { web, notes, request, budget: BUDGET, at: Location::caller() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.request.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = Some(body.into());
        self
    }

    /// Sets a JSON body.
    ///
    /// # Errors
    /// When it cannot be serialised.
    #[track_caller]
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Result<Self, TestError> {
        let text = serde_json::to_vec(body)?;
        Ok(self.header("content-type", "application/json").body(text))
    }

    /// Sets the budget for retries.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    async fn made(self) -> Result<Reply, TestError> {
        let began = Instant::now();
        let what = format!("{} {}", self.request.method, self.request.url);
        let again = |status: u16| matches!(status, 502 | 503) || status == 504 && repeatable(&self.request.method);
        let mut pause = RETRY_PAUSE.0;
        let (mut attempt, mut before) = (1, String::new());
        loop {
            let left = self.budget.saturating_sub(began.elapsed());
            let got = self.web.send(&self.request, ATTEMPT.min(left.max(RETRY_PAUSE.1))).await;
            let failure = match got {
                Ok(view) if !again(view.status) => {
                    if attempt > 1 {
                        self.notes.add(format!(
                            "{what}: answered at attempt {attempt}, {} after the first; before, {before}",
                            format_duration(began.elapsed())
                        ));
                    }
                    return Ok(Reply { what, view, attempt, at: self.at });
                }
                Ok(view) => format!("it answers {}", view.status),
                Err(error @ WebError::NoConnection { .. }) => error.to_string(),
                // An ingress closes connections when it loads new routes.
                Err(error @ WebError::Broken { .. }) if repeatable(&self.request.method) => error.to_string(),
                Err(error) => return Err(located(format!("{what}: {error}"), self.at)),
            };
            if began.elapsed() + pause > self.budget {
                return Err(located(
                    format!("{what}: {failure}, for {} and {attempt} attempts", format_duration(began.elapsed())),
                    self.at,
                ));
            }
            (attempt, before) = (attempt + 1, failure);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE.1);
        }
    }
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Reply, TestError>;
    type IntoFuture = LocalBoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.made())
    }
}

/// Whether a method is idempotent, so that a request may be repeated although the app may have processed it.
fn repeatable(method: &str) -> bool {
    ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].iter().any(|known| known.eq_ignore_ascii_case(method))
}

fn located(sentence: String, at: &Location<'_>) -> TestError {
    TestError::at_place(sentence, at)
}

/// The app's answer.
pub struct Reply {
    what: String,
    view: HttpView,
    attempt: u32,
    at: &'static Location<'static>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {}", self.what, self.view.status)
    }
}

impl Reply {
    /// The status.
    pub fn status(&self) -> u16 {
        self.view.status
    }

    /// The attempt that was answered, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The body.
    pub fn text(&self) -> &str {
        &self.view.body
    }

    /// The headers, names in lower case.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.view.headers
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.view.headers.get(name).map(String::as_str)
    }

    /// The answer itself if it has this status.
    ///
    /// # Errors
    /// When the status differs; the sentence quotes the body.
    pub fn expect(self, status: u16) -> Result<Self, TestError> {
        match self.view.status == status {
            true => Ok(self),
            false => Err(self.failed(&format!("answered {}, not {status}", self.view.status))),
        }
    }

    /// The body parsed as JSON.
    ///
    /// # Errors
    /// When it does not parse; the sentence quotes it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, TestError> {
        serde_json::from_str(&self.view.body)
            .map_err(|error| self.failed(&format!("did not answer with the expected JSON ({error})")))
    }

    /// Checks that the body contains these words.
    ///
    /// # Errors
    /// When it does not; the sentence quotes it.
    pub fn contains(&self, words: &str) -> Result<(), TestError> {
        match self.view.body.contains(words) {
            true => Ok(()),
            false => Err(self.failed(&format!("answered without {words:?}"))),
        }
    }

    fn failed(&self, how: &str) -> TestError {
        let body = self.view.body.trim();
        let quoted: String = body.chars().take(QUOTED).collect();
        let excerpt = match (body.is_empty(), quoted.len() < body.len()) {
            (true, _) => "an empty body".to_owned(),
            (false, false) => format!("{quoted:?}"),
            (false, true) => format!("{quoted:?} and more"),
        };
        located(format!("{} {how}: {excerpt}", self.what), self.at)
    }
}
