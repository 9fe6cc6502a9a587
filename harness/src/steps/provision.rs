//! Makes the app known to abra: its `.env`, its secrets, and the checkout put back on what is under test.

use std::collections::BTreeMap;

use super::{ABRA_PATIENCE, Context, defect};
use crate::{
    adapters::abra::secrets,
    claim::{Claim, Claimed},
    compose::Tree,
    event::Note,
    model::{
        names::Commit,
        outcome::{Cause, Failure},
    },
    ports::Call,
};

/// How long the marker on the Swarm speaks for the run, in milliseconds: longer than any deadline.
const MARKER_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn provision(context: &Context<'_>) -> Result<(), Failure> {
    let head = context.head()?;
    let run = context.folder.run();
    // Whatever abra makes of the app is the stack's, so it is claimed before there is an app.
    context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let marker = context.claim(Claimed::Marker { name: format!("taster-{run}") })?;
    // A kept app is the run's for longer, and how long it will be kept begins only when the run ends.
    let keep = context.log.state().begun.and_then(|begun| begun.request.authoring.keep).unwrap_or_default();
    let life = MARKER_LIFE_MS + i64::try_from(keep.as_millis()).unwrap_or_default();
    let expiry = crate::model::time::Wall::from_millis(context.ports.clock.wall().millis() + life);
    let labels = BTreeMap::from([
        ("taster.run".to_owned(), run.to_string()),
        ("taster.stack".to_owned(), head.stack.to_string()),
        ("taster.expires".to_owned(), expiry.to_string()),
    ]);
    context.ports.swarm.mark(&marker, &labels).await?;

    let (commit, _) = context.installed()?;
    let commit = commit.clone();
    new_app(context, &commit).await?;
    // What is wired may say which secrets there are, so they are made then.
    if context.wires() { Ok(()) } else { context.make_secrets().await }
}

/// Makes head known to abra as a new app under the old name.
pub(super) async fn renew(context: &Context<'_>) -> Result<(), Failure> {
    let commit = context.head()?.commit.clone();
    new_app(context, &commit).await?;
    if context.wires() { Ok(()) } else { context.make_secrets().await }
}

async fn new_app(context: &Context<'_>, commit: &Commit) -> Result<(), Failure> {
    let head = context.head()?;
    let run = context.folder.run();
    let env_file = context.claim(Claimed::EnvFile { path: context.folder.env_file(&context.host.server, &head.domain) })?;
    context.log.note(Note::Domain { domain: head.domain.clone() });
    // abra takes the `.env` from the sample that is checked out.
    context.check_out(commit).await?;
    let new = Call::New { recipe: head.recipe.clone(), domain: head.domain.clone(), server: context.host.server.clone() };
    context.ports.abra.call(&new, Some(&env_file), ABRA_PATIENCE).await?;
    // `app new` leaves the checkout on the newest release, and a chaos deploy takes whatever is checked out.
    context.check_out(commit).await?;
    // An empty resolver keeps the ingress from asking a certificate authority for a name that nobody can reach.
    context.ports.checkout.set_env(&env_file, &[("LETS_ENCRYPT_ENV", "")]).await?;
    let env = context.pack.env(&head.domain, run);
    if !env.is_empty() {
        let pairs: Vec<(&str, &str)> = env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        context.ports.checkout.set_env(&env_file, &pairs).await?;
    }
    Ok(())
}

impl Context<'_> {
    /// What is installed first, with its files: base where there is an upgrade to come, else head.
    pub(super) fn installed(&self) -> Result<(&Commit, &Tree), Failure> {
        match &self.base {
            Some((base, before)) => Ok((base.commit().ok_or_else(|| defect("the base has no commit"))?, &before.tree)),
            None => Ok((&self.head()?.commit, &self.tree)),
        }
    }

    /// Makes the secrets of a new app. Those of an app that was removed get the values that they had, as an operator who saved them would
    /// do it: what comes back from a backup was written with them.
    pub(super) async fn make_secrets(&self) -> Result<(), Failure> {
        let head = self.head()?;
        let stack = self.claim(Claimed::Stack { name: head.stack.clone() })?;
        let saved = self.secrets.borrow().clone();
        if saved.is_empty() {
            return self.generate(&stack, None).await;
        }
        let unreadable = |sentence: String| Failure::new(Cause::Unresolvable, sentence);
        let resolved = self.resolved(&self.tree).await?.map_err(unreadable)?;
        for secret in resolved.secrets().map_err(|error| unreadable(error.to_string()))? {
            match saved.get(&secret.name) {
                Some(value) => {
                    let file = self.folder.hidden(value).map_err(|error| {
                        Failure::new(Cause::Preflight { check: "run folder".into() }, format!("cannot keep a secret: {error}"))
                    })?;
                    let (name, version, file) = (secret.name, secret.version, file.path());
                    let insert = Call::SecretInsert { domain: head.domain.clone(), name, version, file: file.to_owned() };
                    self.ports.abra.call(&insert, Some(&stack), ABRA_PATIENCE).await?;
                }
                None if secret.modifiers.generate => self.generate(&stack, Some((secret.name, secret.version))).await?,
                // It is inserted by whoever wires the app.
                None => {}
            }
        }
        Ok(())
    }

    /// Has abra make one secret or all, and saves what it shows.
    pub(super) async fn generate(&self, stack: &Claim, one: Option<(String, String)>) -> Result<(), Failure> {
        let call = Call::SecretGenerate { domain: self.head()?.domain.clone(), one };
        let printed = self.ports.abra.call(&call, Some(stack), ABRA_PATIENCE).await?;
        let made = secrets(&printed)?.into_iter().map(|secret| (secret.name, secret.value));
        self.secrets.borrow_mut().extend(made);
        Ok(())
    }

    /// Puts the recipe's checkout on a commit.
    pub(super) async fn check_out(&self, commit: &Commit) -> Result<(), Failure> {
        let head = self.head()?;
        let claim = self.claim(Claimed::Dir { path: self.folder.abra_dir() })?;
        let at = self.ports.checkout.go(&claim, &head.recipe, commit.as_str()).await?;
        match at == *commit {
            true => Ok(()),
            false => Err(Failure::new(
                Cause::Preflight { check: "recipe checkout".into() },
                format!("the checkout is on {at} and not on {commit}"),
            )),
        }
    }
}
