//! A new app: its `.env`, its secrets, and the checkout of the recipe.

use super::{ABRA_TIMEOUT, context::StepContext};
use crate::{
    model::{
        names::Commit,
        outcome::{Cause, Failure},
        text::with_causes,
    },
    ports::{Call, abra_output},
    pure::{host::claim::Claim, run::event::Note},
};

impl StepContext<'_> {
    /// Creates an app of a commit in abra (`abra app new`). Where nothing is configured before the deploy, it makes the secrets
    /// too: the configuration may decide which secrets there are.
    pub(in crate::engine::steps) async fn make_app(&self, commit: &Commit) -> Result<(), Failure> {
        let head = self.head()?;
        let env_file = self.claim_env_file()?;
        self.log.note(Note::Domain { domain: head.domain.clone() });
        // abra takes the `.env` from the sample that is checked out.
        self.check_out(commit).await?;
        let new = Call::New { recipe: head.recipe.clone(), domain: head.domain.clone(), server: self.host.server.clone() };
        self.ports.abra.call(&new, Some(&env_file), ABRA_TIMEOUT).await?;
        // `app new` leaves the checkout on the newest release, and a chaos deploy takes what is checked out.
        self.check_out(commit).await?;
        // An empty resolver keeps the ingress from asking a certificate authority for a name that is not reachable from outside.
        self.ports.checkout.set_env(&env_file, &[("LETS_ENCRYPT_ENV", "")]).await?;
        let env = self.pack.env(&head.domain, self.folder.run());
        if !env.is_empty() {
            let pairs: Vec<(&str, &str)> = env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            self.ports.checkout.set_env(&env_file, &pairs).await?;
        }
        if self.is_configured() { Ok(()) } else { self.make_secrets().await }
    }

    /// Makes the secrets of a new app. Those of an app that was removed get their old values, as an operator who saved them would
    /// do: data that comes back from a backup was written with them.
    pub(in crate::engine::steps) async fn make_secrets(&self) -> Result<(), Failure> {
        let head = self.head()?;
        let stack = self.claim_stack()?;
        let saved = self.secrets.borrow().clone();
        if saved.is_empty() {
            return self.generate(&stack, None).await;
        }
        let unreadable = |sentence: String| Failure::new(Cause::Unresolvable, sentence);
        let resolved = self.resolved(&self.tree).await?.map_err(|error| unreadable(error.to_string()))?;
        for secret in resolved.secrets().map_err(|error| unreadable(error.to_string()))? {
            match saved.get(&secret.name) {
                Some(value) => {
                    let file = self.folder.secret_file(value).map_err(|error| {
                        let message = format!("cannot keep a secret: {}", with_causes(&error));
                        Failure::new(Cause::Preflight { check: "run folder".into() }, message)
                    })?;
                    let (name, version) = (secret.name, secret.version);
                    let insert = Call::SecretInsert { domain: head.domain.clone(), name, version, file: file.path().to_owned() };
                    self.ports.abra.call(&insert, Some(&stack), ABRA_TIMEOUT).await?;
                }
                None if secret.modifiers.generate => self.generate(&stack, Some((secret.name, secret.version))).await?,
                // The step `configure` inserts it.
                None => {}
            }
        }
        Ok(())
    }

    /// Has abra generate one secret or all, and saves their values.
    pub(in crate::engine::steps) async fn generate(&self, stack: &Claim, one: Option<(String, String)>) -> Result<(), Failure> {
        let call = Call::SecretGenerate { domain: self.head()?.domain.clone(), one };
        let printed = self.ports.abra.call(&call, Some(stack), ABRA_TIMEOUT).await?;
        let made = abra_output::secrets(&printed)?.into_iter().map(|secret| (secret.name, secret.value));
        self.secrets.borrow_mut().extend(made);
        Ok(())
    }

    /// Puts the recipe's checkout on a commit.
    pub(in crate::engine::steps) async fn check_out(&self, commit: &Commit) -> Result<(), Failure> {
        let head = self.head()?;
        let claim = self.claim_abra_dir()?;
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
