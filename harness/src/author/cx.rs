//! What a function of a pack is given.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    panic::Location,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Ask, Failed};
use crate::{
    adapters::{swarm::DockerSwarm, web::HttpsWeb},
    converge::{ServiceView, TaskState},
    model::{
        names::Domain,
        protocol::{Context, MEMORY},
        time::spoken,
    },
    ports::Swarm,
};

/// The pause between two looks of [`Cx::until`], at first and at most; it doubles.
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
/// use harness::author::{Cx, Failed, ensure};
///
/// async fn a_job_is_done(cx: Cx) -> Result<(), Failed> {
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
pub struct Cx {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    web: Arc<HttpsWeb>,
    notes: Mutex<Vec<String>>,
}

/// What a command in a service came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Its exit code.
    pub exit: i64,
    /// What it printed on both outputs, in the order of writing.
    pub text: String,
}

impl Cx {
    pub(super) fn of(context: Context) -> Self {
        let web = Arc::new(HttpsWeb::of(&context.host()).keeping_cookies());
        Self { inner: Arc::new(Inner { context, web, notes: Mutex::default() }) }
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
    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    /// Sends something to a page of the app.
    #[track_caller]
    pub fn post(&self, path: &str) -> Ask {
        self.ask("POST", path)
    }

    /// A request with another method.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let url = if path.starts_with('/') { self.url(path) } else { path.to_owned() };
        Ask::new(self.inner.web.clone(), method, url)
    }

    /// Runs a command in the running container of a service, without a shell.
    ///
    /// # Errors
    /// When the service does not run, or not on the machine of the host's engine, or the command cannot be started. An exit code
    /// other than 0 is no error: see [`Printed`].
    pub async fn exec(&self, service: &str, argv: &[&str]) -> Result<Printed, Failed> {
        let swarm = self.swarm()?;
        let view = self.service(&swarm, service).await?;
        let running = view.tasks.iter().find(|task| task.state == TaskState::Running && task.container.is_some());
        let container = running.and_then(|task| task.container.as_deref());
        let container = container.ok_or_else(|| Failed::because(format!("service {service} does not run")))?;
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
                    Err(failed) if !failed.applies() || !failed.is_written() => return Err(failed),
                    Err(failed) => failed,
                };
                if began.elapsed() + pause > budget {
                    let sentence = format!("not within {}: {what}; the last look said: {}", spoken(budget), last.sentence());
                    return Err(Failed::at_place(sentence, at));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }

    /// Tells the reader of the results something that is no failure.
    pub fn note(&self, sentence: impl Into<String>) {
        self.notes().push(sentence.into());
    }

    /// Says that the function does not apply to this app, and why: `return Err(cx.not_applicable("it sends no mail"))`.
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
        std::mem::take(&mut *self.notes())
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.inner.notes.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut services = swarm.look(stack).await?;
        let names: Vec<String> = services.keys().map(|name| stack.short(name).to_owned()).collect();
        let wanted = services.keys().find(|name| stack.short(name) == service).cloned();
        wanted
            .and_then(|name| services.remove(&name))
            .ok_or_else(|| Failed::because(format!("the app has no service {service:?}; it has {}", names.join(", "))))
    }
}
