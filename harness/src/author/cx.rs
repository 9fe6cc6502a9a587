//! What a function of a pack is given.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    io::Write,
    panic::Location,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Db, Failed, RequestBuilder, Soft,
    browser::{Browser, Evidence},
    failed::Kind,
    soft::Collected,
};
use crate::{
    adapters::{swarm::DockerSwarm, web::HttpsWeb},
    model::{
        names::Domain,
        pack::Database,
        protocol::{Attachment, Context, HIDDEN, MEMORY, is_attachable},
        time::format_duration,
    },
    ports::Swarm,
    pure::host::converge::{ServiceView, TaskState},
};

/// The pause between two looks of [`TestContext::until`], at first and at most; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How many last lines of a log are read.
const LOG_LINES: u32 = 500;

/// The app as a function of a pack sees it: over HTTPS through the ingress, and within its services. Clones are the same app.
///
/// Cookies that the app sets are kept for the function's later requests, as a browser keeps them; the next function begins without any.
///
/// It can ask and run commands in the app, but it knows no path of the machine and has no way to deploy.
///
/// ```no_run
/// use std::time::Duration;
/// use harness::author::{TestContext, Failed, ensure};
///
/// async fn a_job_is_done(cx: TestContext) -> Result<(), Failed> {
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
    context: Context,
    databases: Vec<Database>,
    web: Arc<HttpsWeb>,
    notes: Notes,
    collected: Collected,
    evidence: Evidence,
}

/// The sentences for the reader of the results.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(super) fn add(&self, sentence: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sentence);
    }
}

/// What a command in a service came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Its exit code.
    pub exit: i64,
    /// What it printed on both outputs, in the order of writing.
    pub text: String,
}

impl TestContext {
    pub(super) fn of(context: Context, databases: Vec<Database>) -> Self {
        let web = Arc::new(HttpsWeb::of(&context.host()).keeping_cookies());
        let (notes, collected, evidence) = (Notes::default(), Collected::default(), Evidence::default());
        Self { inner: Arc::new(Inner { context, databases, web, notes, collected, evidence }) }
    }

    /// The app's domain.
    pub fn domain(&self) -> &Domain {
        &self.inner.context.domain
    }

    /// The address of a page of the app; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.domain())
    }

    /// Asks for a page of the app, or for a whole address.
    #[track_caller]
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.ask("GET", path)
    }

    /// Sends something to a page of the app.
    #[track_caller]
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.ask("POST", path)
    }

    /// A request with another method.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { self.url(path) } else { path.to_owned() };
        RequestBuilder::new(self.inner.web.clone(), self.inner.notes.clone(), method, url)
    }

    /// Starts a browser of the function's own, with an empty profile, which ends with the function. It reaches names of the host's zone
    /// and nothing else. When the function does not hold, a picture of its window and its console are left as evidence.
    ///
    /// # Errors
    /// When it does not start. One that is not on this machine makes the test *not verified*: pass the error on with `?`.
    #[track_caller]
    pub fn browser(&self) -> impl Future<Output = Result<Browser, Failed>> {
        Browser::open(self.clone(), Location::caller())
    }

    /// Runs a command in the running container of a service, without a shell.
    ///
    /// # Errors
    /// When the service does not run, or not on the machine of the host's engine, or the command cannot be started. An exit code
    /// other than 0 is no error: see [`Printed`].
    pub async fn exec(&self, service: &str, argv: &[&str]) -> Result<Printed, Failed> {
        let swarm = self.swarm()?;
        let view = self.service(&swarm, service).await?;
        let container = running(&view).ok_or_else(|| Failed::because(format!("service {service} does not run")))?;
        let (exit, text) = swarm.exec(container, argv).await?;
        Ok(Printed { exit, text })
    }

    /// The last lines that the tasks of a service wrote.
    ///
    /// # Errors
    /// When there is no such service, or its log cannot be read.
    pub async fn logs(&self, service: &str) -> Result<String, Failed> {
        let swarm = self.swarm()?;
        let mut text = String::new();
        for task in self.service(&swarm, service).await?.tasks {
            text += &swarm.logs(&task.id, LOG_LINES).await?;
            text.push('\n');
        }
        Ok(text)
    }

    /// Waits until `probe` holds, and gives what it gives. `what` is a sentence on what is waited for.
    ///
    /// # Errors
    /// When it has not come about within `budget`: that sentence, with what the last probe said.
    #[track_caller]
    pub fn until<T, F>(&self, budget: Duration, what: &str, mut probe: F) -> impl Future<Output = Result<T, Failed>>
    where
        F: AsyncFnMut() -> Result<T, Failed>,
    {
        let at = Location::caller();
        let what = what.to_owned();
        async move {
            let began = Instant::now();
            let mut pause = PAUSE.0;
            loop {
                let last = match probe().await {
                    Ok(value) => return Ok(value),
                    Err(failed) if failed.kind() != Kind::Assertion => return Err(failed),
                    Err(failed) => failed,
                };
                if began.elapsed() + pause > budget {
                    let sentence =
                        format!("not within {}: {what}; the last look said: {}", format_duration(budget), last.sentence());
                    return Err(Failed::at_place(sentence, at));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }

    /// Tells the reader of the results something that is no failure.
    pub fn note(&self, sentence: impl Into<String>) {
        self.inner.notes.add(sentence.into());
    }

    /// Checks that are collected: they do not end the function, and it fails in the end with all that do not hold.
    pub fn soft(&self) -> Soft {
        Soft::of(self.clone())
    }

    /// A database of the app, by the service that `recipe.toml` names for it under `[[databases]]`.
    ///
    /// # Errors
    /// When it names none there.
    #[track_caller]
    pub fn database(&self, service: &str) -> Result<Db, Failed> {
        let databases = &self.inner.databases;
        match databases.iter().find(|database| database.service == service) {
            Some(database) => Ok(Db::of(self.clone(), database.clone())),
            None => {
                let known: Vec<&str> = databases.iter().map(|database| database.service.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(Failed::because(format!("recipe.toml names no database of service {service:?}; it names {known}")))
            }
        }
    }

    /// The value of a secret as the app has it, from `/run/secrets/<name>` of the first service that has it. From then on it is hidden
    /// in whatever the run says.
    ///
    /// ```no_run
    /// # use harness::author::{TestContext, Failed};
    /// # async fn example(cx: TestContext) -> Result<(), Failed> {
    /// let token = cx.secret("admin_token").await?;
    /// cx.get("/admin").header("authorization", format!("Bearer {token}")).await?.expect(200)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no running service has it, or its image has no `cat`.
    pub async fn secret(&self, name: &str) -> Result<String, Failed> {
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(Failed::because(format!("{name:?} is no name of a secret")));
        }
        let swarm = self.swarm()?;
        let file = format!("/run/secrets/{name}");
        let mut last = "the app has no service".to_owned();
        for (service, view) in swarm.observe(&self.inner.context.stack).await? {
            let short = self.inner.context.stack.short(&service).to_owned();
            let Some(container) = running(&view) else { continue };
            match swarm.exec(container, &["cat", &file]).await {
                Ok((0, value)) => {
                    self.hide(&value).map_err(|error| Failed::because(format!("the secret {name} cannot be hidden: {error}")))?;
                    return Ok(value);
                }
                Ok((exit, text)) => last = format!("in {short} `cat` ended with exit code {exit}: {}", text.trim()),
                Err(error) => last = format!("in {short} {error}"),
            }
        }
        Err(Failed::because(format!("no running service gives the secret {name}: {last}")))
    }

    /// Has a value hidden: the run takes it from a file that goes with the run, also when this process says nothing more.
    fn hide(&self, value: &str) -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(HIDDEN).tempfile_in(&self.inner.context.room)?;
        file.write_all(value.as_bytes())?;
        file.keep().map_err(|error| error.error)?;
        Ok(())
    }

    /// Keeps a file with the results, in `evidence/`; in texts secrets are hidden. `name` is letters, digits, `.`, `_` and `-`.
    ///
    /// ```no_run
    /// # use harness::author::{TestContext, Failed};
    /// # async fn example(cx: TestContext) -> Result<(), Failed> {
    /// let feed = cx.get("/feed.xml").await?.expect(200)?;
    /// cx.attach("feed.xml", feed.text())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the name is none, or was given before, or the file cannot be written.
    #[track_caller]
    pub fn attach(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), Failed> {
        if !is_attachable(name) {
            return Err(Failed::because(format!("{name:?} is no name for a file that is kept")));
        }
        let kept = self.inner.evidence.attach(&self.inner.context.room, name, bytes.as_ref());
        kept.map_err(|error| Failed::because(format!("{name} cannot be kept: {error}")))
    }

    /// Says that the function does not apply to this app, and why: `return Err(cx.not_applicable("it sends no mail"))`. That counts
    /// only under a condition that `recipe.toml` declares for the test, else nothing is verified:
    ///
    /// ```toml
    /// [not_applicable]
    /// "mail::a message arrives" = { when = "the app is set up without mail" }
    /// ```
    #[track_caller]
    pub fn not_applicable(&self, reason: impl Into<String>) -> Failed {
        Failed::not_applicable(reason)
    }

    /// Leaves something to the functions of the pack that run later in the same run.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn remember(&self, key: &str, value: &str) -> Result<(), Failed> {
        let mut memory = self.memory()?;
        memory.insert(key.to_owned(), value.to_owned());
        let text = serde_json::to_vec(&memory)?;
        fs::write(self.memory_file(), text).map_err(|error| Failed::because(format!("nothing can be remembered: {error}")))
    }

    /// What an earlier function of the pack left.
    ///
    /// # Errors
    /// When there is nothing under this key.
    pub fn recall(&self, key: &str) -> Result<String, Failed> {
        let mut memory = self.memory()?;
        memory.remove(key).ok_or_else(|| Failed::because(format!("nothing is remembered as {key:?}")))
    }

    pub(super) fn taken_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.inner.notes.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn context(&self) -> &Context {
        &self.inner.context
    }

    pub(super) fn evidence(&self) -> &Evidence {
        &self.inner.evidence
    }

    pub(super) fn taken_attachments(&self) -> Vec<Attachment> {
        self.inner.evidence.taken()
    }

    pub(super) fn collected(&self) -> &Collected {
        &self.inner.collected
    }

    fn memory_file(&self) -> PathBuf {
        self.inner.context.room.join(MEMORY)
    }

    fn memory(&self) -> Result<BTreeMap<String, String>, Failed> {
        match fs::read(self.memory_file()) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(Failed::because(format!("what was remembered cannot be read: {error}"))),
        }
    }

    fn swarm(&self) -> Result<DockerSwarm, Failed> {
        Ok(DockerSwarm::at(&self.inner.context.engine)?)
    }

    async fn service(&self, swarm: &DockerSwarm, service: &str) -> Result<ServiceView, Failed> {
        let stack = &self.inner.context.stack;
        let mut services = swarm.observe(stack).await?;
        let names: Vec<String> = services.keys().map(|name| stack.short(name).to_owned()).collect();
        let wanted = services.keys().find(|name| stack.short(name) == service).cloned();
        wanted
            .and_then(|name| services.remove(&name))
            .ok_or_else(|| Failed::because(format!("the app has no service {service:?}; it has {}", names.join(", "))))
    }
}

/// The container of a service that commands can be run in.
fn running(view: &ServiceView) -> Option<&str> {
    view.tasks.iter().filter(|task| task.state == TaskState::Running).find_map(|task| task.container.as_deref())
}
