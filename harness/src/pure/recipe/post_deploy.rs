//! Post-deploy commands: the commands that an app's `.env` declares for after a deploy or an upgrade.
//!
//! abra performs them after the deploy has converged, and skips them with `-c` (docs/reference/abra.md 3.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pure::recipe::compose::Env;

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

/// A command that names no service with a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} has `{command}`, which names no service with a function")]
pub struct BadCommand {
    /// The variable.
    pub variable: &'static str,
    /// The command, trimmed.
    pub command: String,
}

/// The commands of the variable in order; empty when unset.
pub fn commands(env: &Env, after: Post) -> Result<Vec<Command>, BadCommand> {
    let named = env.get(after.variable()).unwrap_or_default();
    let one = |text: &str| {
        let mut words = text.split_whitespace().map(str::to_owned);
        match (words.next(), words.next()) {
            (Some(service), Some(function)) => Ok(Command { service, function, args: words.collect() }),
            _ => Err(BadCommand { variable: after.variable(), command: text.trim().to_owned() }),
        }
    };
    match named.trim() {
        "" => Ok(Vec::new()),
        named => named.split('|').map(one).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_separated_by_bars_and_words_by_blanks() {
        for (text, expected) in [
            ("", Ok(vec![])),
            ("POST_DEPLOY_CMDS=\"\"", Ok(vec![])),
            ("POST_UPGRADE_CMDS=\"app migrate\"", Ok(vec![])),
            ("POST_DEPLOY_CMDS=\"app migrate\"", Ok(vec!["app migrate []"])),
            ("POST_DEPLOY_CMDS=\"app set a b| db  load\"", Ok(vec!["app set [\"a\", \"b\"]", "db load []"])),
            ("POST_DEPLOY_CMDS=\"migrate\"", Err("POST_DEPLOY_CMDS has `migrate`, which names no service with a function")),
            ("POST_DEPLOY_CMDS=\"app a|\"", Err("POST_DEPLOY_CMDS has ``, which names no service with a function")),
        ] {
            let shown = |command: Command| format!("{} {} {:?}", command.service, command.function, command.args);
            let found = commands(&Env::parse(text).unwrap(), Post::Deploy);
            let found = found.map(|all| all.into_iter().map(shown).collect::<Vec<_>>()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map(|all| all.into_iter().map(str::to_owned).collect()).map_err(str::to_owned), "{text}");
        }
    }
}
