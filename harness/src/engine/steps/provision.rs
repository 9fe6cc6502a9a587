//! Makes the app known to abra: its `.env`, its secrets, and the checkout put back on what is under test.

use std::time::Duration;

use super::{ABRA_PATIENCE, Context, defect};
use crate::{
    adapters::abra::secrets,
    model::{
        names::{Commit, StackName},
        outcome::{Cause, Failure},
        time::Wall,
    },
    ports::Call,
    pure::{
        host::{
            claim::{Claim, Claimed},
            marker::Marker,
        },
        recipe::compose::Tree,
        run::event::Note,
    },
};

/// How long the marker on the Swarm speaks for the run: a day, and for as long again as a run may take that has a later deadline.
const MARKER_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn provision(context: &Context<'_>) -> Result<(), Failure> {
    let head = context.head()?;
    let run = context.folder.run();
    // Whatever abra makes of the app is the stack's, so it is claimed before there is an app.
    context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let claim = context.claim(Claimed::Marker { name: Marker::name(run) })?;
    context.ports.swarm.mark(&claim, &marker(context, &claim, head.stack.clone()).labels()).await?;

    let (commit, _) = context.installed()?;
    let commit = commit.clone();
    new_app(context, &commit).await?;
    // What is wired may say which secrets there are, so they are made then.
    if context.wires() { Ok(()) } else { context.make_secrets().await }
}

/// What the marker says of this run.
fn marker(context: &Context<'_>, claim: &Claim, stack: StackName) -> Marker {
    let machine = &context.ports.machine;
    let asked = context.log.state().begun.map(|begun| (begun.request.deadline, begun.request.authoring.keep));
    let (deadline, keep) = asked.unwrap_or_default();
    // How long an app is kept is counted from the end of its run.
    let life = MARKER_LIFE.max(deadline * 2) + keep.unwrap_or_default();
    let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    let runs = context.folder.root().parent().unwrap_or(context.folder.root());
    Marker {
        run: claim.run().clone(),
        stack,
        swarm: claim.engine().clone(),
        instance: format!("{}:{}", machine.name().0, runs.display()),
        boot: machine.boot().unwrap_or_default(),
        expires: Wall::from_millis(context.ports.clock.wall().millis().saturating_add(life)),
    }
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
