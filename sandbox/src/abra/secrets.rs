//! `abra app secret …`: secrets of the Swarm without labels, named `<stack>_<name>_<version>`.

use formats::dotenv::Modifiers;

use super::{
    Context,
    app::App,
    cli::Secret,
    compose::DeclaredSecret,
    docker,
    error::{CommandResult, Fatal},
    terminal,
};

/// Docker's limit for the name of a secret.
const NAME_LIMIT: usize = 64;

/// A secret of an app.
#[derive(Debug)]
pub(super) struct PlannedSecret {
    pub(super) name: String,
    pub(super) version: String,
    /// Its name on the Swarm.
    pub(super) remote: String,
    pub(super) generator: Generator,
}

/// How a value is generated, from the comment after the version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Generator {
    /// The user inserts the value.
    ByHand,
    /// Pronounceable words.
    Words,
    Random {
        length: usize,
        alphabet: String,
    },
}

pub(super) fn main(context: &Context, command: Secret) -> CommandResult {
    match command {
        Secret::Generate { app, secret, secret_version, all, machine, chaos } => {
            let wanted = match (all, secret, secret_version) {
                (true, None, None) => None,
                (false, Some(secret), Some(version)) => Some((secret, version)),
                (true, Some(_), _) => return Err(Fatal::new("cannot use '[secret] [version]' and '--all' together")),
                _ => return Err(Fatal::new("missing arguments [secret] [version] or '--all'")),
            };
            generate(context, &App::find(context, &app)?, wanted, machine, chaos)
        }
        Secret::Insert { app, secret, secret_version, value, file, trim, chaos } => {
            let app = App::find(context, &app)?;
            app.ensure_recipe(context, chaos)?;
            let value = match value {
                Some(value) => value,
                None if context.no_input => return Err(Fatal::new("no secret value provided")),
                None => terminal::ask("specify secret value")?,
            };
            let value = if file { std::fs::read_to_string(&value)? } else { value };
            let value = if trim { value.trim().to_owned() } else { value };
            let remote = format!("{}_{secret}_{secret_version}", app.stack());
            docker::create_secret(&remote, value.as_bytes())?;
            terminal::info(format!("{secret} successfully stored on server"));
            Ok(())
        }
        Secret::Remove { app, secret, all, chaos } => remove(context, &App::find(context, &app)?, secret, all, chaos),
        Secret::List { app, machine, chaos } => list(context, &App::find(context, &app)?, machine, chaos),
    }
}

/// The secrets that the app's compose files declare and use.
pub(super) fn planned(context: &Context, app: &App, chaos: bool) -> CommandResult<Vec<PlannedSecret>> {
    let recipe = app.ensure_recipe(context, chaos)?;
    let declared = app.compose(context, &recipe)?.secrets(&app.variables(&recipe))?;
    declared.into_iter().map(|declared| plan(app, declared)).collect()
}

fn plan(app: &App, declared: DeclaredSecret) -> CommandResult<PlannedSecret> {
    let DeclaredSecret { name, version, written } = declared;
    let remote = remote(app, &name, &version)?;
    // The version's variable is one that the name has in its text.
    let modifiers = app.env.modifiers().find(|(variable, _)| written.contains(variable)).map(|(_, modifiers)| modifiers.clone());
    Ok(PlannedSecret { name, version, remote, generator: generator(&modifiers.unwrap_or_default())? })
}

/// The name of a secret on the Swarm.
fn remote(app: &App, name: &str, version: &str) -> CommandResult<String> {
    let remote = format!("{}_{name}_{version}", app.stack());
    match remote.len() {
        ..=NAME_LIMIT => Ok(remote),
        long => Err(Fatal::new(format!("{remote} is too long ({long} characters), a secret has at most {NAME_LIMIT}"))),
    }
}

fn generator(modifiers: &Modifiers) -> CommandResult<Generator> {
    let Modifiers { length, charset, generate } = modifiers;
    let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    match (generate, length, charset.as_deref()) {
        (false, _, _) => Ok(Generator::ByHand),
        (true, None, None) => Ok(Generator::Words),
        (true, length, charset) => {
            Ok(Generator::Random { length: length.unwrap_or(32), alphabet: alphabet(charset.unwrap_or("default"))? })
        }
    }
}

fn alphabet(charsets: &str) -> CommandResult<String> {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let one = |charset: &str| match charset {
        "default" | "alnum" => Ok(LETTERS),
        "hex" => Ok("0123456789abcdef"),
        "special" => Ok("!@#$%^&*_-+="),
        "safespecial" => Ok("!@#%^&*_-+="),
        other => Err(Fatal::new(format!("{other} is not a valid charset"))),
    };
    charsets.split(',').map(one).collect()
}

fn random(count: usize) -> CommandResult<Vec<u8>> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| Fatal::new(error.to_string()))?;
    Ok(bytes)
}

/// A new value; `None` for a secret that the user inserts.
fn generate_value(generator: &Generator) -> CommandResult<Option<String>> {
    Ok(match generator {
        Generator::ByHand => None,
        Generator::Words => {
            // Each word has three syllables.
            let (consonants, vowels) = (b"bdfghjklmnprstvz", b"aeiou");
            let letter = |at: usize, byte: u8| {
                let set: &[u8] = if at.is_multiple_of(2) { consonants } else { vowels };
                char::from(set[usize::from(byte) % set.len()])
            };
            let word = || Ok(random(6)?.into_iter().enumerate().map(|(at, byte)| letter(at, byte)).collect::<String>());
            Some((0..6).map(|_| word()).collect::<CommandResult<Vec<_>>>()?.join("-"))
        }
        Generator::Random { length, alphabet } => {
            let letters: Vec<char> = alphabet.chars().collect();
            Some(random(*length)?.into_iter().map(|byte| letters[usize::from(byte) % letters.len()]).collect())
        }
    })
}

/// Generates and stores the values of all secrets that the user does not insert. Returns names and values.
pub(super) fn create(app: &App, planned: &[PlannedSecret]) -> CommandResult<Vec<(String, String)>> {
    let mut created = Vec::new();
    for secret in planned {
        let Some(value) = generate_value(&secret.generator)? else { continue };
        docker::create_secret(&secret.remote, value.as_bytes()).map_err(|Fatal(why)| match why.contains("AlreadyExists") {
            true => Fatal::new(format!("{} already exists on {}: {why}", secret.name, app.server)),
            false => Fatal(why),
        })?;
        created.push((secret.name.clone(), value));
    }
    Ok(created)
}

fn generate(context: &Context, app: &App, wanted: Option<(String, String)>, machine: bool, chaos: bool) -> CommandResult {
    let mut all = planned(context, app, chaos)?;
    if let Some((name, version)) = wanted {
        let Some(mut one) = all.into_iter().find(|secret| secret.name == name) else {
            return Err(Fatal::new(format!("{name} doesn't exist in the env config?")));
        };
        one.remote = remote(app, &name, &version)?;
        one.version = version;
        if one.generator == Generator::ByHand {
            one.generator = Generator::Words;
        }
        all = vec![one];
    }
    let created = create(app, &all)?;
    if created.is_empty() {
        terminal::warn(format!("no secrets to generate for {}", app.name));
    }
    if machine {
        let rows: Vec<_> = created.iter().map(|(name, value)| serde_json::json!({ "name": name, "value": value })).collect();
        terminal::print_line(&serde_json::Value::from(rows).to_string());
        return Ok(());
    }
    print_values(&created)
}

/// Prints generated values in clear, as abra does.
fn print_values(values: &[(String, String)]) -> CommandResult {
    if values.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = values.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    terminal::print_table(&["NAME", "VALUE"], &rows)?;
    terminal::warn("these values will not be shown again, please save them somewhere safe");
    Ok(())
}

fn remove(context: &Context, app: &App, secret: Option<String>, all: bool, chaos: bool) -> CommandResult {
    if all == secret.is_some() {
        return Err(Fatal::new("missing argument [secret] or '--all', and not both"));
    }
    let planned = planned(context, app, chaos)?;
    let stored = docker::secrets(&app.stack())?;
    let wanted = planned.iter().filter(|planned| secret.as_ref().is_none_or(|name| *name == planned.name));
    let there: Vec<&PlannedSecret> = wanted.filter(|planned| stored.contains(&planned.remote)).collect();
    if there.is_empty() {
        return Err(Fatal::new("no secrets to remove?"));
    }
    for secret in there {
        docker::remove_secret(&secret.remote)?;
        terminal::info(format!("removed {} ({}) from server", secret.name, secret.version));
    }
    Ok(())
}

fn list(context: &Context, app: &App, machine: bool, chaos: bool) -> CommandResult {
    let stored = docker::secrets(&app.stack())?;
    let planned = planned(context, app, chaos)?;
    let rows = planned.iter().map(|secret| {
        let there = stored.contains(&secret.remote).to_string();
        vec![secret.name.clone(), secret.version.clone(), secret.remote.clone(), there]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if machine {
        let keys = ["name", "version", "generated-name", "created-on-server"];
        let objects = rows.iter().map(|row| keys.iter().map(|key| key.to_string()).zip(row.clone().into_iter().map(Into::into)));
        let objects: Vec<serde_json::Map<String, serde_json::Value>> = objects.map(Iterator::collect).collect();
        terminal::print_line(&serde_json::json!(objects).to_string());
        return Ok(());
    }
    if rows.is_empty() {
        terminal::warn(format!("no secrets stored for {}", app.name));
        return Ok(());
    }
    terminal::print_table(&["NAME", "VERSION", "GENERATED NAME", "CREATED ON SERVER"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator_of(comment: &str) -> CommandResult<Generator> {
        let env = formats::dotenv::Env::parse(&format!("SECRET_A_VERSION=v1 # {comment}")).unwrap();
        generator(env.modifiers().next().unwrap().1)
    }

    #[test]
    fn comment_configures_the_generator() {
        assert_eq!(generator_of("generate=false").unwrap(), Generator::ByHand);
        assert_eq!(generator_of("").unwrap(), Generator::Words);
        assert_eq!(
            generator_of("length=8 charset=hex").unwrap(),
            Generator::Random { length: 8, alphabet: "0123456789abcdef".into() }
        );
        assert!(generator_of("charset=klingon").is_err());
    }

    #[test]
    fn generated_values_have_the_form_of_their_generator() {
        let hex = generate_value(&generator_of("length=64 charset=hex").unwrap()).unwrap().unwrap();
        assert!(hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()));
        let words = generate_value(&Generator::Words).unwrap().unwrap();
        assert_eq!(words.split('-').filter(|word| word.len() == 6).count(), 6);
        assert_eq!(generate_value(&Generator::ByHand).unwrap(), None);
    }
}
