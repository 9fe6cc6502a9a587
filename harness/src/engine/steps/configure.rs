//! Wires the app before its first deploy as its pack says: overlay, variables, files, secrets.

use super::{ABRA_PATIENCE, Context, custom};
use crate::{
    model::{
        outcome::{Cause, Failure, Outcome, Owner},
        pack::TestName,
        protocol::Wired,
    },
    ports::Call,
    pure::{
        host::claim::Claimed,
        recipe::compose::Env,
        run::{
            event::Note,
            facts::recipe::{OVERLAY, REPAIR, listed_with},
            plan::Planned,
        },
    },
};

pub(super) async fn configure(context: &Context<'_>, planned: &Planned) -> Result<(), Failure> {
    let head = context.head()?;
    let wired = wiring(context, planned).await?;
    let stack = context.claim(Claimed::Stack { name: head.stack.clone() })?;
    let env_file = context.claim(Claimed::EnvFile { path: context.folder.env_file(&context.host.server, &head.domain) })?;
    let dir = context.claim(Claimed::Dir { path: context.folder.abra_dir() })?;
    let checkout = &context.ports.checkout;

    let mut files = wired.files.clone();
    let pairs: Vec<(&str, &str)> = wired.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    checkout.set_env(&env_file, &pairs).await?;
    for (file, text) in [(OVERLAY, context.pack.overlay.as_ref()), (REPAIR, context.repair())] {
        let Some(text) = text else { continue };
        files.insert(file.to_owned(), text.clone());
        let env = Env::parse(&checkout.env(&env_file).await?).unwrap_or_default();
        checkout.set_env(&env_file, &[("COMPOSE_FILE", listed_with(&env, file).as_str())]).await?;
    }
    if !files.is_empty() {
        checkout.add(&dir, &head.recipe, &files).await?;
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let text = format!("the pack adds to the recipe's files, so what runs is not the commit alone: {}", names.join(", "));
        context.log.note(Note::Remark { text });
    }
    // Secrets are made once all is known that says which ones there are.
    context.make_secrets().await?;
    for secret in wired.secrets {
        let (name, version) = (secret.name, secret.version);
        let insert = Call::SecretInsert { domain: head.domain.clone(), name, version, file: secret.file };
        context.ports.abra.call(&insert, Some(&stack), ABRA_PATIENCE).await?;
    }
    Ok(())
}

/// What the install hook says; nothing without one. A hook that fails has not seen the app, so that is the pack's fault.
async fn wiring(context: &Context<'_>, planned: &Planned) -> Result<Wired, Failure> {
    if !context.pack.hooks.install {
        return Ok(Wired::default());
    }
    let hook = TestName::reported(TestName::INSTALL);
    let ran = custom::run(context, &hook, planned.budget() / 2).await?;
    match custom::told(&hook, &ran) {
        Outcome::Passed => {}
        Outcome::Skipped(_) => return Ok(Wired::default()),
        Outcome::Failed(failure) => return Err(failure.owned_by(Owner::Test)),
        Outcome::Unverified(_) => return Err(unsaid(&hook)),
    }
    ran.answer.and_then(|answer| answer.wiring).ok_or_else(|| unsaid(&hook))
}

fn unsaid(hook: &TestName) -> Failure {
    Failure::new(Cause::TestProgram, format!("{hook}: it does not say what is to be wired"))
}
