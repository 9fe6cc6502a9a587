//! Makes the app known to abra: its `.env`, its secrets, and the checkout put back on what is under test.

use std::collections::BTreeMap;

use super::{ABRA_PATIENCE, Context, defect};
use crate::{
    claim::Claimed,
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
    let stack = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let marker = context.claim(Claimed::Marker { name: format!("taster-{run}") })?;
    let expiry = crate::model::time::Wall::from_millis(context.ports.clock.wall().millis() + MARKER_LIFE_MS);
    let labels = BTreeMap::from([
        ("taster.run".to_owned(), run.to_string()),
        ("taster.stack".to_owned(), head.stack.to_string()),
        ("taster.expires".to_owned(), expiry.to_string()),
    ]);
    context.ports.swarm.mark(&marker, &labels).await?;

    let env_file = context.claim(Claimed::EnvFile { path: context.folder.env_file(&context.host.server, &head.domain) })?;
    context.log.note(Note::Domain { domain: head.domain.clone() });
    // abra takes the `.env` from the sample that is checked out.
    let (commit, _) = context.installed()?;
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
    // What is wired may say which secrets there are, so they are made then.
    if context.pack.wires() {
        return Ok(());
    }
    let generate = Call::SecretGenerate { domain: head.domain.clone(), one: None };
    context.ports.abra.call(&generate, Some(&stack), ABRA_PATIENCE).await?;
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
