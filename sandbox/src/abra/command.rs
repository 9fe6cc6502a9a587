//! `abra app command`: calls a function of `abra.sh` in a service's container (docs/reference/abra.md 4.11). The stand-in
//! supports neither `--local` nor `list`.

use std::path::Path;

use formats::dotenv::exports;

use super::{
    Context,
    app::App,
    cli::Function,
    docker,
    error::{CommandResult, Fatal},
};

/// The path of the script in the container.
const SCRIPT: &str = "/tmp/abra.sh";

pub(super) fn main(context: &Context, call: &Function) -> CommandResult {
    let app = App::find(context, &call.app)?;
    let recipe = app.ensure_recipe(context, call.chaos)?;
    let script = recipe.dir.join("abra.sh");
    let text = std::fs::read_to_string(&script).map_err(|_| Fatal::new(format!("{} does not exist", script.display())))?;
    if !defines(&text, &call.function) {
        return Err(Fatal::new(format!("{} doesn't have a {} function", app.recipe, call.function)));
    }
    let stack = app.stack();
    let service = format!("{stack}_{}", call.service);
    if !docker::services(&stack)?.contains(&service) {
        return Err(Fatal::new(format!("no service {} for {}?", call.service, app.name)));
    }
    let container =
        docker::running_container(&service)?.ok_or_else(|| Fatal::new(format!("no containers matching {service} found")))?;
    docker::copy_in(&container, Path::new(&script), SCRIPT)?;
    let own = [("TARGET", call.service.clone()), ("APP_NAME", app.name.clone()), ("STACK_NAME", stack)];
    let mut settings: Vec<String> = app.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    settings.extend(exports(&text).into_iter().map(|(name, value)| format!("{name}={value}")));
    settings.extend(own.into_iter().map(|(name, value)| format!("{name}={value}")));
    // The function and its arguments are positional parameters, so that the shell does not parse them again.
    let line = format!(". {SCRIPT}; \"$@\"");
    let args = ["sh", "-c", &line, "abra", &call.function].into_iter().chain(call.args.iter().map(String::as_str));
    match docker::exec(&container, &settings, &args.collect::<Vec<_>>())? {
        Some(0) => Ok(()),
        Some(code) => Err(Fatal::new(format!("{} failed with exit status {code}", call.function))),
        None => Err(Fatal::new(format!("{} was interrupted", call.function))),
    }
}

/// Whether the script defines the function, as `name()` or as `function name`.
fn defines(script: &str, function: &str) -> bool {
    script.lines().any(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("function ").unwrap_or(line);
        line.strip_prefix(function).is_some_and(|rest| rest.trim_start().starts_with("()") || rest.trim_start().starts_with('{'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_is_found_in_both_notations() {
        for (script, found) in [
            ("migrate() {\n", true),
            ("  migrate () {\n", true),
            ("function migrate {\n", true),
            ("migrate_all() {\n", false),
            ("# migrate() {\n", false),
            ("", false),
        ] {
            assert_eq!(defines(script, "migrate"), found, "{script}");
        }
    }
}
