//! Secrets that abra never generates (`generate=false`), which the pack has to give.

use crate::model::outcome::Gap;

/// Why nothing can be deployed without a value of these secrets, with the lines that give it; absent when none is missing.
pub fn gap(missing: &[String]) -> Option<Gap> {
    let names = missing.join(", ");
    let lines: Vec<String> = missing.iter().map(|name| line(name)).collect();
    let (are, values) = if missing.len() == 1 { ("secret", "a value") } else { ("secrets", "values") };
    (!missing.is_empty()).then(|| Gap::NotRun {
        because: format!(
            "the {are} {names} must be inserted by hand (generate=false), and the pack has no value; put {values} into its \
             recipe.toml, below [secrets]: {}",
            lines.join(", ")
        ),
    })
}

/// The line of a `recipe.toml` that gives a secret.
fn line(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match bare {
        true => format!("{name} = \"…\""),
        false => format!("\"{name}\" = \"…\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_secrets_are_named_with_the_lines_of_the_pack() {
        for (missing, expected) in [
            (&[][..], None),
            (
                &["smtp_password"],
                Some(
                    "the secret smtp_password must be inserted by hand (generate=false), and the pack has no value; put a value \
                     into its recipe.toml, below [secrets]: smtp_password = \"…\"",
                ),
            ),
            (
                &["a", "b.c"],
                Some(
                    "the secrets a, b.c must be inserted by hand (generate=false), and the pack has no value; put values into \
                     its recipe.toml, below [secrets]: a = \"…\", \"b.c\" = \"…\"",
                ),
            ),
        ] {
            let missing: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
            let because = gap(&missing).map(|gap| if let Gap::NotRun { because } = gap { because } else { String::new() });
            assert_eq!(because.as_deref(), expected);
        }
    }
}
