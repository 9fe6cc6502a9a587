//! A new app: its `.env`, its secrets, and the checkout of the recipe.

use std::collections::BTreeSet;

use super::{ABRA_TIMEOUT, context::StepContext};
use crate::{
    model::{
        names::Commit,
        outcome::{Cause, Failure, Gap},
        text::with_causes,
    },
    ports::{Call, abra_output},
    pure::{
        host::claim::Claim,
        recipe::{
            compose::{Entry, Setting},
            given_secrets,
        },
        run::event::Note,
    },
};

impl StepContext<'_> {
    /// Creates an app of a commit in abra (`abra app new`). Where nothing is configured before the deploy, it makes the secrets
    /// too: the configuration may decide which secrets there are. Returns what is missing for a deploy, if anything is.
    pub(in crate::engine::steps) async fn make_app(&self, commit: &Commit) -> Result<Option<Gap>, Failure> {
        let head = self.head()?;
        let env_file = self.claim_env_file()?;
        self.log.note(Note::Domain { domain: head.domain.clone() });
        // abra takes the `.env` from the sample that is checked out.
        self.check_out(commit).await?;
        let new = Call::New { recipe: head.recipe.clone(), domain: head.domain.clone(), server: self.host.server.clone() };
        self.ports.abra.call(&new, Some(&env_file), ABRA_TIMEOUT).await?;
        // `app new` leaves the checkout on the newest release, and a chaos deploy takes what is checked out.
        self.check_out(commit).await?;
        // abra puts the domain only in the place of `<recipe>.example.com`. An empty resolver keeps the ingress from asking a
        // certificate authority for a name that is not reachable from outside.
        let own = [("DOMAIN", head.domain.as_str()), ("LETS_ENCRYPT_ENV", "")].map(Setting::from);
        self.ports.checkout.set_env(&env_file, &own).await?;
        let env = settings(self.pack.env(&head.domain, self.folder.run()));
        if !env.is_empty() {
            self.ports.checkout.set_env(&env_file, &env).await?;
        }
        if self.is_configured() { Ok(None) } else { self.make_secrets(&BTreeSet::new()).await }
    }

    /// Makes the secrets of a new app: those that abra generates, and those that the pack gives. Those of an app that was removed
    /// get their old values, as an operator who saved them would do: data that comes back from a backup was written with them.
    ///
    /// Returns which secrets are missing, if any are: abra never generates them, and neither the pack's settings nor its
    /// configure hook, which inserts those in `by_hook`, give a value.
    pub(in crate::engine::steps) async fn make_secrets(&self, by_hook: &BTreeSet<String>) -> Result<Option<Gap>, Failure> {
        let stack = self.claim_stack()?;
        let saved = self.secrets.borrow().clone();
        let unreadable = |sentence: String| Failure::new(Cause::Unresolvable, sentence);
        let tree = if saved.is_empty() { self.installed()?.1.clone() } else { self.tree.clone() };
        let added = self.added_files.borrow().clone();
        let tree = added.into_iter().fold(tree, |tree, (path, text)| tree.with(&path, Entry::Text(text)));
        if saved.is_empty() {
            self.generate(&stack, None).await?;
        }
        let resolved = self.resolved(&tree).await?.map_err(|error| unreadable(error.to_string()))?;
        let mut missing = Vec::new();
        for secret in resolved.secrets().map_err(|error| unreadable(error.to_string()))? {
            match saved.get(&secret.name) {
                Some(value) => self.insert_secret(&stack, secret.name, secret.version, value).await?,
                None if secret.modifiers.generate && saved.is_empty() => {}
                None if secret.modifiers.generate => self.generate(&stack, Some((secret.name, secret.version))).await?,
                None if by_hook.contains(&secret.name) => {}
                None => missing.extend(self.insert_given_secret(&stack, secret.name, secret.version).await?),
            }
        }
        Ok(given_secrets::gap(&missing))
    }

    /// Inserts the pack's value of a secret. Returns its name where the pack has none.
    pub(in crate::engine::steps) async fn insert_given_secret(
        &self,
        stack: &Claim,
        name: String,
        version: String,
    ) -> Result<Option<String>, Failure> {
        let Some(value) = self.pack.secret(&name, &self.head()?.domain, self.folder.run()) else { return Ok(Some(name)) };
        self.insert_secret(stack, name, version, &value).await?;
        Ok(None)
    }

    async fn insert_secret(&self, stack: &Claim, name: String, version: String, value: &str) -> Result<(), Failure> {
        let file = self.folder.secret_file(value).map_err(|error| {
            let message = format!("cannot keep a secret: {}", with_causes(&error));
            Failure::new(Cause::Preflight { check: "run folder".into() }, message)
        })?;
        let insert = Call::SecretInsert { domain: self.head()?.domain.clone(), name, version, file: file.path().to_owned() };
        self.ports.abra.call(&insert, Some(stack), ABRA_TIMEOUT).await?;
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

/// Variables as they are set in an `.env`.
pub(in crate::engine::steps) fn settings(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Setting> {
    variables.into_iter().map(|(key, value)| Setting::new(key, value)).collect()
}
