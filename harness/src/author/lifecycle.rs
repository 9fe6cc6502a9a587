//! What a pack does besides tests: wiring before the first deploy, canaries, checks after a tier, when the app is ready.

use std::collections::BTreeMap;

use super::{Checked, Failed, Function, TestContext, boxed};
use crate::model::{
    names::{Domain, RunId},
    outcome::Tier,
    protocol::stays_inside,
};

/// The part of a pack that needs code and is no test: `pub fn lifecycle() -> Lifecycle` in `lifecycle.rs`.
///
/// The engine deploys, upgrades, backs up and restores; what stands here is asked before or after.
///
/// ```
/// use harness::author::{TestContext, Failed, Lifecycle, Wiring, ensure};
///
/// pub fn lifecycle() -> Lifecycle {
///     Lifecycle::new().install(wire).canary("a post", plant, check, spoil).ready(answers)
/// }
///
/// fn wire(app: &mut Wiring) -> Result<(), Failed> {
///     app.env("PUBLIC_URL", format!("https://{}/", app.domain()))
/// }
///
/// async fn plant(cx: TestContext) -> Result<(), Failed> {
///     let id = cx.post("/posts").body("tweet").await?.expect(201)?;
///     cx.remember("post", id.text().trim())
/// }
///
/// async fn check(cx: TestContext) -> Result<(), Failed> {
///     let post = cx.get(&format!("/posts/{}", cx.recall("post")?)).await?.expect(200)?;
///     ensure(post.text() == "tweet", format!("the post is now {:?}", post.text()))
/// }
///
/// async fn spoil(cx: TestContext) -> Result<(), Failed> {
///     cx.ask("DELETE", &format!("/posts/{}", cx.recall("post")?)).await?.expect(200)?;
///     Ok(())
/// }
///
/// async fn answers(cx: TestContext) -> Result<(), Failed> {
///     cx.get("/health").await?.expect(200).map(drop)
/// }
/// # lifecycle();
/// ```
#[derive(Default)]
pub struct Lifecycle {
    pub(super) install: Option<Hook>,
    pub(super) ready: Option<Function>,
    pub(super) canaries: Vec<Canary>,
    pub(super) checks: Vec<Check>,
}

pub(super) type Hook = Box<dyn Fn(&mut Wiring) -> Checked + Send>;

pub(super) struct Canary {
    pub(super) name: &'static str,
    pub(super) plant: Function,
    pub(super) check: Function,
    pub(super) spoil: Function,
}

pub(super) struct Check {
    pub(super) tier: Tier,
    pub(super) name: &'static str,
    pub(super) run: Function,
}

impl Lifecycle {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the app needs before its first deploy. The hook says what it wants; the engine does it. A second one replaces the
    /// first.
    pub fn install(mut self, hook: impl Fn(&mut Wiring) -> Checked + Send + 'static) -> Self {
        self.install = Some(Box::new(hook));
        self
    }

    /// When the app is ready, beyond answering: it is asked again and again until it holds or the budget is used up.
    pub fn ready<F, Fut>(mut self, probe: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.ready = Some(boxed(probe));
        self
    }

    /// Data of the app's own that has to outlive an upgrade, a restart and a restore. `plant` puts it in and reads it back, `check`
    /// holds as long as it is whole, and after `spoil` it does not hold any more.
    pub fn canary<P, PF, C, CF, S, SF>(mut self, name: &'static str, plant: P, check: C, spoil: S) -> Self
    where
        P: Fn(TestContext) -> PF + Send + 'static,
        PF: Future<Output = Checked> + 'static,
        C: Fn(TestContext) -> CF + Send + 'static,
        CF: Future<Output = Checked> + 'static,
        S: Fn(TestContext) -> SF + Send + 'static,
        SF: Future<Output = Checked> + 'static,
    {
        self.canaries.push(Canary { name, plant: boxed(plant), check: boxed(check), spoil: boxed(spoil) });
        self
    }

    /// A check that is made after a tier.
    pub fn check<F, Fut>(mut self, tier: Tier, name: &'static str, check: F) -> Self
    where
        F: Fn(TestContext) -> Fut + Send + 'static,
        Fut: Future<Output = Checked> + 'static,
    {
        self.checks.push(Check { tier, name, run: boxed(check) });
        self
    }
}

/// What an app needs before its first deploy, as an install hook says it.
///
/// ```
/// use harness::author::{Failed, Wiring};
///
/// fn wire(app: &mut Wiring) -> Result<(), Failed> {
///     app.env("SMTP_FROM", format!("app@{}", app.domain()))?;
///     app.secret("rotation_key", "v1", "0123456789abcdef")?;
///     app.file("conf/extra.conf", "quiet = true\n")
/// }
///
/// let mut app = Wiring::of("shop-aebagbaf.taster.test".parse().unwrap(), "20261121-101502-aebagbaf".parse().unwrap());
/// wire(&mut app).unwrap();
/// assert!(app.file("../escape", "").is_err());
/// ```
#[derive(Debug)]
pub struct Wiring {
    domain: Domain,
    run: RunId,
    pub(super) env: Vec<(String, String)>,
    pub(super) secrets: Vec<(String, String, String)>,
    pub(super) files: BTreeMap<String, String>,
}

impl Wiring {
    /// Nothing yet, for this app.
    pub fn of(domain: Domain, run: RunId) -> Self {
        Self { domain, run, env: Vec::new(), secrets: Vec::new(), files: BTreeMap::new() }
    }

    /// The app's domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The run's id; no other run has it.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Sets a variable of the app's `.env`, before its secrets are made.
    ///
    /// # Errors
    /// When it is no name of a variable, or its value is more than one line.
    #[track_caller]
    pub fn env(&mut self, key: &str, value: impl Into<String>) -> Checked {
        let value = value.into();
        let named = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named || value.contains(['\n', '\r']) {
            return Err(Failed::because(format!(
                "{key:?} cannot be set: a variable has a name of letters, and a value of one line"
            )));
        }
        self.env.push((key.to_owned(), value));
        Ok(())
    }

    /// Inserts a secret under the name and version that the compose files have for it. It must be one that abra does not make
    /// itself (`generate=false` in `.env.sample`).
    ///
    /// # Errors
    /// When name or version are none.
    #[track_caller]
    pub fn secret(&mut self, name: &str, version: &str, value: impl Into<String>) -> Checked {
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        if !word(name) || !word(version) {
            return Err(Failed::because(format!("{name:?} in version {version:?} is no secret's name")));
        }
        self.secrets.push((name.to_owned(), version.to_owned(), value.into()));
        Ok(())
    }

    /// Adds a file to the recipe's checkout, or replaces one. What is deployed is not the commit alone then, and the results say
    /// so.
    ///
    /// # Errors
    /// When the path leads out of the checkout.
    #[track_caller]
    pub fn file(&mut self, path: &str, text: impl Into<String>) -> Checked {
        if !stays_inside(path) {
            return Err(Failed::because(format!("{path:?} is no path in the recipe's checkout")));
        }
        self.files.insert(path.to_owned(), text.into());
        Ok(())
    }
}
