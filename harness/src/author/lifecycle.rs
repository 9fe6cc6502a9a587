//! Hooks of a pack: configuration before the first deploy, canaries, checks after a tier, and readiness.

use std::collections::BTreeMap;

use super::{Checked, Function, TestContext, TestError, boxed};
use crate::model::{
    names::{Domain, RunId},
    outcome::Tier,
    protocol::stays_inside,
};

/// The hooks of a pack: `pub fn lifecycle() -> Lifecycle` in `lifecycle.rs`.
///
/// The engine deploys, upgrades, backs up and restores. It calls the hooks before or after.
///
/// ```
/// use harness::author::{TestContext, TestError, Lifecycle, ConfigureContext, ensure};
///
/// pub fn lifecycle() -> Lifecycle {
///     Lifecycle::new().configure(configure).canary("a post", seed, check, corrupt).ready(answers)
/// }
///
/// fn configure(app: &mut ConfigureContext) -> Result<(), TestError> {
///     app.env("PUBLIC_URL", format!("https://{}/", app.domain()))
/// }
///
/// async fn seed(cx: TestContext) -> Result<(), TestError> {
///     let id = cx.post("/posts").body("tweet").await?.expect(201)?;
///     cx.remember("post", id.text().trim())
/// }
///
/// async fn check(cx: TestContext) -> Result<(), TestError> {
///     let post = cx.get(&format!("/posts/{}", cx.recall("post")?)).await?.expect(200)?;
///     ensure(post.text() == "tweet", format!("the post is now {:?}", post.text()))
/// }
///
/// async fn corrupt(cx: TestContext) -> Result<(), TestError> {
///     cx.request("DELETE", &format!("/posts/{}", cx.recall("post")?)).await?.expect(200)?;
///     Ok(())
/// }
///
/// async fn answers(cx: TestContext) -> Result<(), TestError> {
///     cx.get("/health").await?.expect(200).map(drop)
/// }
/// # lifecycle();
/// ```
#[derive(Default)]
pub struct Lifecycle {
    pub(super) configure: Option<Hook>,
    pub(super) ready: Option<Function>,
    pub(super) canaries: Vec<Canary>,
    pub(super) checks: Vec<Check>,
}

pub(super) type Hook = Box<dyn Fn(&mut ConfigureContext) -> Checked + Send>;

pub(super) struct Canary {
    pub(super) name: &'static str,
    pub(super) seed: Function,
    pub(super) check: Function,
    pub(super) corrupt: Function,
}

pub(super) struct Check {
    pub(super) tier: Tier,
    pub(super) name: &'static str,
    pub(super) run: Function,
}

impl Lifecycle {
    /// A lifecycle without hooks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Configures the app before its first deploy. The hook declares the configuration; the engine applies it. A second hook
    /// replaces the first.
    pub fn configure(mut self, hook: impl Fn(&mut ConfigureContext) -> Checked + Send + 'static) -> Self {
        self.configure = Some(Box::new(hook));
        self
    }

    /// Decides when the app is ready, beyond answering HTTP. The engine polls it until it succeeds or exceeds the budget.
    pub fn ready<F, Fut>(mut self, probe: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.ready = Some(boxed(probe));
        self
    }

    /// Data of the app that must survive an upgrade, a restart and a restore. `seed` creates it and reads it back, `check`
    /// succeeds while it is intact, and must fail after `corrupt`.
    pub fn canary<P, PF, C, CF, S, SF>(mut self, name: &'static str, seed: P, check: C, corrupt: S) -> Self
    where
        P: Fn(TestContext) -> PF + Send + 'static,
        PF: Future<Output = Checked> + 'static,
        C: Fn(TestContext) -> CF + Send + 'static,
        CF: Future<Output = Checked> + 'static,
        S: Fn(TestContext) -> SF + Send + 'static,
        SF: Future<Output = Checked> + 'static,
    {
        self.canaries.push(Canary { name, seed: boxed(seed), check: boxed(check), corrupt: boxed(corrupt) });
        self
    }

    /// A check after a tier.
    pub fn check<F, Fut>(mut self, tier: Tier, name: &'static str, check: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.checks.push(Check { tier, name, run: boxed(check) });
        self
    }
}

/// The configuration of an app before its first deploy, as a configure hook declares it.
///
/// ```
/// use harness::author::{TestError, ConfigureContext};
///
/// fn configure(app: &mut ConfigureContext) -> Result<(), TestError> {
///     app.env("SMTP_FROM", format!("app@{}", app.domain()))?;
///     app.secret("rotation_key", "v1", "0123456789abcdef")?;
///     app.file("conf/extra.conf", "quiet = true\n")
/// }
///
/// let mut app = ConfigureContext::of("shop-aebagbaf.taster.test".parse().unwrap(), "20261121-101502-aebagbaf".parse().unwrap());
/// configure(&mut app).unwrap();
/// assert!(app.file("../escape", "").is_err());
/// ```
#[derive(Debug)]
pub struct ConfigureContext {
    domain: Domain,
    run: RunId,
    pub(super) env: Vec<(String, String)>,
    pub(super) secrets: Vec<(String, String, String)>,
    pub(super) files: BTreeMap<String, String>,
}

impl ConfigureContext {
    /// An empty configuration for this app.
    pub fn of(domain: Domain, run: RunId) -> Self {
        Self { domain, run, env: Vec::new(), secrets: Vec::new(), files: BTreeMap::new() }
    }

    /// The app's domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The run's unique id.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Sets a variable of the app's `.env`, before its secrets are generated.
    ///
    /// # Errors
    /// When the name is invalid, or the value has several lines.
    #[track_caller]
    pub fn env(&mut self, key: &str, value: impl Into<String>) -> Checked {
        let value = value.into();
        let named = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named || value.contains(['\n', '\r']) {
            return Err(TestError::because(format!(
                "{key:?} cannot be set: a variable has a name of letters, and a value of one line"
            )));
        }
        self.env.push((key.to_owned(), value));
        Ok(())
    }

    /// Inserts a secret under its name and version in the compose files. It must be one that abra does not generate
    /// (`generate=false` in `.env.sample`).
    ///
    /// # Errors
    /// When the name or the version is invalid.
    #[track_caller]
    pub fn secret(&mut self, name: &str, version: &str, value: impl Into<String>) -> Checked {
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        if !word(name) || !word(version) {
            return Err(TestError::because(format!("{name:?} in version {version:?} is not a valid name of a secret")));
        }
        self.secrets.push((name.to_owned(), version.to_owned(), value.into()));
        Ok(())
    }

    /// Adds a file to the recipe's checkout, or replaces one. The results report that the deployed files differ from the commit.
    ///
    /// # Errors
    /// When the path leaves the checkout.
    #[track_caller]
    pub fn file(&mut self, path: &str, text: impl Into<String>) -> Checked {
        if !stays_inside(path) {
            return Err(TestError::because(format!("{path:?} is not a path inside the recipe's checkout")));
        }
        self.files.insert(path.to_owned(), text.into());
        Ok(())
    }
}
