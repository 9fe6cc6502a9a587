//! Brings the `.env` and the secrets of the running app up to head, as an operator would, and puts the checkout on head.

use std::collections::BTreeSet;

use super::shared::{context::StepContext, new_app::settings};
use crate::{
    model::outcome::{Cause, Failure, Gap},
    pure::{
        recipe::{
            compose::{self, Env, Tree},
            given_secrets, upgrade,
        },
        run::{event::Note, facts::recipe},
    },
};

pub(super) async fn migrate(context: &StepContext<'_>) -> Result<Option<Gap>, Failure> {
    let head = context.head()?;
    let (_, before) = context.base()?;
    context.check_out(&head.commit).await?;
    let env_file = context.claim_env_file()?;
    let env = parse(&context.ports.checkout.env(&env_file).await?)?;
    let migration = upgrade::migrate(&env, &recipe::sampled(&before.tree)?, &recipe::sampled(&context.tree)?);
    for text in migration.notes {
        context.log.note(Note::OperatorMust { text });
    }
    context.ports.checkout.set_env(&env_file, &migration.set).await?;
    // The file that repairs base is never under head.
    if let Some(list) = recipe::listed_without_repair(&env) {
        context.ports.checkout.set_env(&env_file, &[("COMPOSE_FILE", list.as_str()).into()]).await?;
    }
    let pack = settings(context.pack.upgrade_env(&head.domain, context.folder.run()));
    context.ports.checkout.set_env(&env_file, &pack).await?;
    // The checkout of head has the files of its commit alone.
    let mut files = context.added_files.borrow().clone();
    if let Some(overlay) = &context.pack.overlay {
        files.insert(recipe::OVERLAY.to_owned(), overlay.clone());
    }
    if !files.is_empty() {
        let dir = context.claim_abra_dir()?;
        context.ports.checkout.add(&dir, &head.recipe, &files).await?;
    }

    let now = parse(&context.ports.checkout.env(&env_file).await?)?;
    let secrets = |tree: &Tree, env: &Env| {
        let resolved = compose::resolve(tree, &recipe::with_own(env.clone(), &head.domain), &head.stack);
        resolved.and_then(|resolved| resolved.secrets()).map_err(|error| Failure::new(Cause::Unresolvable, error.to_string()))
    };
    let there: BTreeSet<String> = secrets(&before.tree, &env)?.into_iter().map(|secret| secret.full_name).collect();
    let stack = context.claim_stack()?;
    let mut missing = Vec::new();
    for secret in secrets(&context.tree, &now)?.into_iter().filter(|secret| !there.contains(&secret.full_name)) {
        if !secret.modifiers.generate {
            let text = format!("secret {} {} is new and has to be inserted by hand", secret.name, secret.version);
            context.log.note(Note::OperatorMust { text });
            let named = (secret.name, secret.version);
            if !context.inserted_secrets.borrow().contains(&named) {
                missing.extend(context.insert_given_secret(&stack, named.0, named.1).await?);
            }
            continue;
        }
        let text = format!("secret {} {} is new and was generated", secret.name, secret.version);
        context.log.note(Note::OperatorMust { text });
        let one = Some((secret.name, secret.version));
        context.generate(&stack, one).await?;
    }
    Ok(given_secrets::gap(&missing))
}

fn parse(text: &str) -> Result<Env, Failure> {
    Env::parse(text).map_err(|error| Failure::new(Cause::Unresolvable, format!(".env, {error}")))
}
