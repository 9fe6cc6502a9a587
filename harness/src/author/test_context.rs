//! The context of a pack's function: the app over HTTPS and within its services.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    io::Write,
    panic::Location,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{RequestBuilder, TestError, evidence::FunctionEvidence, notes::Notes, soft_failures::Collected, test_error::Kind};
use crate::{
    adapters::{swarm::DockerSwarm, web::HttpsWeb},
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    model::{
        names::Domain,
        pack::Database,
        protocol::{Attachment, FunctionContext, MEMORY, SECRET_FILE_PREFIX, is_attachable},
        time::format_duration,
    },
    ports::Swarm,
    pure::host::converge::{ServiceView, TaskState},
};

/// The first and the longest pause between two polls of [`TestContext::until`]; it doubles.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The number of log lines that are read.
const LOG_LINES: u32 = 500;

/// The app under test: over HTTPS through the ingress, and within its services. Clones share the app and the cookies.
///
/// Cookies persist for the function's later requests, as in a browser. Each function starts without cookies.
///
/// It can send requests and run commands in the app. It has no path of the machine and cannot deploy.
///
/// ```no_run
/// use std::time::Duration;
/// use harness::author::{TestContext, TestError, ensure};
///
/// async fn a_job_is_done(cx: TestContext) -> Result<(), TestError> {
///     cx.post("/jobs").json(&["count"])?.await?.expect(202)?;
///     cx.until(Duration::from_secs(20), "the job is done", async || {
///         cx.get("/jobs/1").await?.expect(200)?.contains("done")
///     })
///     .await?;
///     let listed = cx.exec("worker", &["ls", "/var/spool/jobs"]).await?;
///     ensure(listed.exit == 0, format!("the worker has no spool: {}", listed.text))?;
///     cx.note(format!("asked on {}", cx.domain()));
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct TestContext {
    inner: Arc<Inner>,
}

struct Inner {
    context: FunctionContext,
    databases: Vec<Database>,
    web: Arc<HttpsWeb>,
    notes: Notes,
    collected: Collected,
    evidence: FunctionEvidence,
}

/// The result of a command in a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub exit: i64,
    /// The combined output, in the order of writing.
    pub text: String,
}

impl TestContext {
    pub(super) fn of(context: FunctionContext, databases: Vec<Database>) -> Self {
        let web = Arc::new(HttpsWeb::of(&context.host()).keeping_cookies());
        let (notes, collected, evidence) = (Notes::default(), Collected::default(), FunctionEvidence::default());
        Self { inner: Arc::new(Inner { context, databases, web, notes, collected, evidence }) }
    }

    /// The app's domain.
    pub fn domain(&self) -> &Domain {
        &self.inner.context.domain
    }

    /// The URL of a page of the app; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.domain())
    }

    /// The image that a service has in head, such as `postgres:16`; `None` for a service that head does not have. A check that is
    /// about a change of head looks here and at [`base_image`](Self::base_image) whether head makes that change.
    pub fn head_image(&self, service: &str) -> Option<&str> {
        self.inner.context.images.head.get(service).map(String::as_str)
    }

    /// The image that a service has in base, the release that head is upgraded from; `None` without an upgrade.
    pub fn base_image(&self, service: &str) -> Option<&str> {
        self.inner.context.images.base.get(service).map(String::as_str)
    }

    /// A GET request for a page of the app or an absolute URL.
    #[track_caller]
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request("GET", path)
    }

    /// A POST request to a page of the app.
    #[track_caller]
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request("POST", path)
    }

    /// A request with another method.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { self.url(path) } else { path.to_owned() };
        RequestBuilder::new(self.inner.web.clone(), self.inner.notes.clone(), method, url)
    }

    /// Runs a command in the running container of a service, without a shell.
    ///
    /// # Errors
    /// When the service does not run on the machine of the host's engine, or the command does not start. A non-zero exit code is
    /// no error: see [`ExecOutput`].
    pub async fn exec(&self, service: &str, argv: &[&str]) -> Result<ExecOutput, TestError> {
        let swarm = self.swarm()?;
        let view = self.service(&swarm, service).await?;
        let container = running(&view).ok_or_else(|| TestError::because(format!("service {service} does not run")))?;
        let (exit, text) = swarm.exec(container, argv).await?;
        Ok(ExecOutput { exit, text })
    }

    /// The last log lines of a service's tasks.
    ///
    /// # Errors
    /// When the service does not exist, or its log cannot be read.
    pub async fn logs(&self, service: &str) -> Result<String, TestError> {
        let swarm = self.swarm()?;
        let mut text = String::new();
        for task in self.service(&swarm, service).await?.tasks {
            text += &swarm.logs(&task.id, LOG_LINES).await?;
            text.push('\n');
        }
        Ok(text)
    }

    /// Polls `probe` until it succeeds and returns its value. `what` is a sentence that describes the condition.
    ///
    /// # Errors
    /// When it does not succeed within `budget`: that sentence with the last probe's error.
    #[track_caller]
    pub fn until<T, F>(&self, budget: Duration, what: &str, mut probe: F) -> impl Future<Output = Result<T, TestError>>
    where
        F: AsyncFnMut() -> Result<T, TestError>,
    {
        let at = Location::caller();
        let what = what.to_owned();
        async move {
            let began = Instant::now();
            let mut pause = RETRY_PAUSE.0;
            loop {
                let last = match probe().await {
                    Ok(value) => return Ok(value),
                    Err(failed) if failed.kind() != Kind::Assertion => return Err(failed),
                    Err(failed) => failed,
                };
                if began.elapsed() + pause > budget {
                    let sentence =
                        format!("not within {}: {what}; the last attempt said: {}", format_duration(budget), last.sentence());
                    return Err(TestError::at_place(sentence, at));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSE.1);
            }
        }
    }

    /// Adds a note to the results.
    pub fn note(&self, sentence: impl Into<String>) {
        self.inner.notes.add(sentence.into());
    }

    /// The value of an app's secret, from `/run/secrets/<name>` of the first service that has it. From then on every output of
    /// the run hides it.
    ///
    /// ```no_run
    /// # use harness::author::{TestContext, TestError};
    /// # async fn example(cx: TestContext) -> Result<(), TestError> {
    /// let token = cx.secret("admin_token").await?;
    /// cx.get("/admin").header("authorization", format!("Bearer {token}")).await?.expect(200)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no running service has it, or the image lacks `cat`.
    pub async fn secret(&self, name: &str) -> Result<String, TestError> {
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(TestError::because(format!("{name:?} is not a valid name of a secret")));
        }
        let swarm = self.swarm()?;
        let file = format!("/run/secrets/{name}");
        let mut last = "the app has no service".to_owned();
        for (service, view) in swarm.observe(&self.inner.context.stack).await? {
            let short = self.inner.context.stack.short(&service).to_owned();
            let Some(container) = running(&view) else { continue };
            match swarm.exec(container, &["cat", &file]).await {
                Ok((0, value)) => {
                    self.hide(&value)
                        .map_err(|error| TestError::because(format!("the secret {name} cannot be hidden: {error}")))?;
                    return Ok(value);
                }
                Ok((exit, text)) => last = format!("in {short} `cat` ended with exit code {exit}: {}", text.trim()),
                Err(error) => last = format!("in {short} {error}"),
            }
        }
        Err(TestError::because(format!("no running service gives the secret {name}: {last}")))
    }

    /// Hides a value. The run reads it from a file in the work folder, so that a crash of this process does not reveal it.
    fn hide(&self, value: &str) -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(SECRET_FILE_PREFIX).tempfile_in(&self.inner.context.work_dir)?;
        file.write_all(value.as_bytes())?;
        file.keep().map_err(|error| error.error)?;
        Ok(())
    }

    /// Adds a file to the results, in `evidence/`; secrets in texts are hidden. `name` consists of letters, digits, `.`, `_` and
    /// `-`.
    ///
    /// ```no_run
    /// # use harness::author::{TestContext, TestError};
    /// # async fn example(cx: TestContext) -> Result<(), TestError> {
    /// let feed = cx.get("/feed.xml").await?.expect(200)?;
    /// cx.attach("feed.xml", feed.text())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the name is invalid or already used, or the file cannot be written.
    #[track_caller]
    pub fn attach(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), TestError> {
        if !is_attachable(name) {
            return Err(TestError::because(format!("{name:?} is not a valid name of a file")));
        }
        let kept = self.inner.evidence.attach(&self.inner.context.work_dir, name, bytes.as_ref());
        kept.map_err(|error| TestError::because(format!("{name} cannot be kept: {error}")))
    }

    /// The result of a function that does not apply to this app: `return Err(cx.not_applicable("it sends no mail"))`. It counts
    /// only under a condition that `recipe.toml` declares for the test; otherwise the test is not verified:
    ///
    /// ```toml
    /// [not_applicable]
    /// "mail::a message arrives" = { when = "the app is set up without mail" }
    /// ```
    #[track_caller]
    pub fn not_applicable(&self, reason: impl Into<String>) -> TestError {
        TestError::not_applicable(reason)
    }

    /// Saves a value for later functions of the pack in the same run.
    ///
    /// # Errors
    /// When it cannot be saved.
    pub fn remember(&self, key: &str, value: &str) -> Result<(), TestError> {
        let mut memory = self.memory()?;
        memory.insert(key.to_owned(), value.to_owned());
        let text = serde_json::to_vec(&memory)?;
        fs::write(self.memory_file(), text).map_err(|error| TestError::because(format!("nothing can be remembered: {error}")))
    }

    /// The value that an earlier function of the pack saved.
    ///
    /// # Errors
    /// When no value is saved under this key.
    pub fn recall(&self, key: &str) -> Result<String, TestError> {
        let mut memory = self.memory()?;
        memory.remove(key).ok_or_else(|| TestError::because(format!("nothing is remembered as {key:?}")))
    }

    pub(super) fn taken_notes(&self) -> Vec<String> {
        self.inner.notes.take()
    }

    pub(super) fn databases(&self) -> &[Database] {
        &self.inner.databases
    }

    pub(super) fn context(&self) -> &FunctionContext {
        &self.inner.context
    }

    pub(super) fn evidence(&self) -> &FunctionEvidence {
        &self.inner.evidence
    }

    pub(super) fn taken_attachments(&self) -> Vec<Attachment> {
        self.inner.evidence.taken()
    }

    pub(super) fn collected(&self) -> &Collected {
        &self.inner.collected
    }

    fn memory_file(&self) -> PathBuf {
        self.inner.context.work_dir.join(MEMORY)
    }

    fn memory(&self) -> Result<BTreeMap<String, String>, TestError> {
        match plain_file::read(&self.memory_file(), DOCUMENT_LIMIT, Links::Refused) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(TestError::because(format!("what was remembered cannot be read: {error}"))),
        }
    }

    fn swarm(&self) -> Result<DockerSwarm, TestError> {
        Ok(DockerSwarm::at(&self.inner.context.engine)?)
    }

    async fn service(&self, swarm: &DockerSwarm, service: &str) -> Result<ServiceView, TestError> {
        let stack = &self.inner.context.stack;
        let mut services = swarm.observe(stack).await?;
        let names: Vec<String> = services.keys().map(|name| stack.short(name).to_owned()).collect();
        let wanted = services.keys().find(|name| stack.short(name) == service).cloned();
        wanted
            .and_then(|name| services.remove(&name))
            .ok_or_else(|| TestError::because(format!("the app has no service {service:?}; it has {}", names.join(", "))))
    }
}

/// The container of a service in which commands run.
fn running(view: &ServiceView) -> Option<&str> {
    view.tasks.iter().filter(|task| task.state == TaskState::Running).find_map(|task| task.container.as_deref())
}
