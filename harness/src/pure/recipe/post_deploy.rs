//! Post-deploy commands: the commands that an app's `.env` declares for after a deploy or an upgrade.
//!
//! abra performs them after the deploy has converged, and skips them with `-c` (docs/reference/abra.md 3.2), so a run types them
//! behind `abra app command`. There a word that begins with a dash would be an option of abra, and `--local` runs a function on
//! this machine. Therefore a command begins with a service of the app and a function, and anything else is refused.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pure::recipe::compose::{Env, Resolved};

/// The operation that the commands follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Post {
    /// The first deploy.
    Deploy,
    /// An upgrade.
    Upgrade,
}

impl Post {
    /// The variable that declares them.
    pub fn variable(self) -> &'static str {
        match self {
            Post::Deploy => "POST_DEPLOY_CMDS",
            Post::Upgrade => "POST_UPGRADE_CMDS",
        }
    }
}

/// A function of the recipe's `abra.sh` to call in a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The service, by its name in the compose files.
    pub service: String,
    /// The function.
    pub function: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// The variables that declare commands; abra itself performs those for after an undeploy.
const VARIABLES: [&str; 3] = ["POST_DEPLOY_CMDS", "POST_UPGRADE_CMDS", "POST_UNDEPLOY_CMDS"];

/// A command that may not be performed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} has `{command}`, {flaw}; a command is a service, a function of abra.sh, and its arguments")]
pub struct BadCommand {
    /// The variable.
    pub variable: &'static str,
    /// The command, trimmed.
    pub command: String,
    /// The flaw.
    pub flaw: CommandFlaw,
}

/// Why a command may not be performed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandFlaw {
    /// It has fewer than two words.
    #[error("which names no service with a function")]
    TooShort,
    /// A word before the arguments is an option.
    #[error("in which {0} is an option")]
    Option(String),
    /// The app has no such service.
    #[error("and the app has no service {0}")]
    NoService(String),
    /// The second word cannot be the name of a function.
    #[error("in which {0} is no name of a function")]
    NoFunction(String),
}

/// The commands of the variable in order, for an app with these services; empty when unset.
pub fn commands(env: &Env, after: Post, services: &BTreeSet<&str>) -> Result<Vec<Command>, BadCommand> {
    of_variable(env, after.variable(), services)
}

/// What is wrong with the commands of all variables, a sentence each.
pub fn objections(env: &Env, resolved: &Resolved) -> Vec<String> {
    let services = services_of(resolved);
    VARIABLES.iter().filter_map(|variable| of_variable(env, variable, &services).err()).map(|bad| bad.to_string()).collect()
}

/// The services of the app, by their names in the compose files.
pub fn services_of(resolved: &Resolved) -> BTreeSet<&str> {
    resolved.services.keys().map(String::as_str).collect()
}

fn of_variable(env: &Env, variable: &'static str, services: &BTreeSet<&str>) -> Result<Vec<Command>, BadCommand> {
    match env.get(variable).unwrap_or_default().trim() {
        "" => Ok(Vec::new()),
        named => named
            .split('|')
            .map(|text| one(text, services).map_err(|flaw| BadCommand { variable, command: text.trim().to_owned(), flaw }))
            .collect(),
    }
}

fn one(text: &str, services: &BTreeSet<&str>) -> Result<Command, CommandFlaw> {
    let mut words = text.split_whitespace().map(str::to_owned);
    let (Some(service), Some(function)) = (words.next(), words.next()) else { return Err(CommandFlaw::TooShort) };
    if let Some(option) = [&service, &function].into_iter().find(|word| word.starts_with('-')) {
        return Err(CommandFlaw::Option(option.clone()));
    }
    if !services.contains(service.as_str()) {
        return Err(CommandFlaw::NoService(service));
    }
    match function.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c)) {
        true => Ok(Command { service, function, args: words.collect() }),
        false => Err(CommandFlaw::NoFunction(function)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let shown = |command: Command| format!("{} {} {:?}", command.service, command.function, command.args);
        let found = commands(&Env::parse(text).unwrap(), Post::Deploy, &BTreeSet::from(["app", "db"]));
        found.map(|all| all.into_iter().map(shown).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_separated_by_bars_and_words_by_blanks() {
        for (text, expected) in [
            ("", vec![]),
            ("POST_DEPLOY_CMDS=\"\"", vec![]),
            ("POST_UPGRADE_CMDS=\"app migrate\"", vec![]),
            ("POST_DEPLOY_CMDS=\"app migrate\"", vec!["app migrate []"]),
            ("POST_DEPLOY_CMDS=\"app set a b| db  load\"", vec!["app set [\"a\", \"b\"]", "db load []"]),
            // Behind the function a dash is an argument, which abra gets behind `--`.
            ("POST_DEPLOY_CMDS=\"app occ --user=a -v\"", vec!["app occ [\"--user=a\", \"-v\"]"]),
        ] {
            assert_eq!(read(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn command_that_is_no_service_with_a_function_is_refused() {
        for (commands, flaw) in [
            ("migrate", "`migrate`, which names no service with a function"),
            ("app a|", "``, which names no service with a function"),
            ("--local evil", "`--local evil`, in which --local is an option"),
            ("app --local evil", "`app --local evil`, in which --local is an option"),
            ("-l evil | app fine", "`-l evil`, in which -l is an option"),
            ("app fine|-C evil", "`-C evil`, in which -C is an option"),
            ("app --user=root", "`app --user=root`, in which --user=root is an option"),
            ("app -- evil", "`app -- evil`, in which -- is an option"),
            ("\t--local\tevil", "`--local\tevil`, in which --local is an option"),
            ("web migrate", "`web migrate`, and the app has no service web"),
            ("shop_app migrate", "`shop_app migrate`, and the app has no service shop_app"),
            ("APP migrate", "`APP migrate`, and the app has no service APP"),
            ("app $(evil)", "`app $(evil)`, in which $(evil) is no name of a function"),
            ("app ../evil", "`app ../evil`, in which ../evil is no name of a function"),
        ] {
            let expected =
                format!("POST_DEPLOY_CMDS has {flaw}; a command is a service, a function of abra.sh, and its arguments");
            let text = format!("POST_DEPLOY_CMDS='{commands}'");
            assert_eq!(read(&text), Err(expected), "{commands}");
        }
    }
}
