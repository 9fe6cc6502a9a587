//! The files of variables that `env_file` of a service names, as docker/cli reads them (`pkg/kvfile`).

/// The length at which Docker refuses a line, in bytes.
const TOO_LONG: usize = 64 * 1024;

/// A variable of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value; without one Docker takes it from the environment in which the app is deployed.
    pub value: Option<&'a str>,
    /// Its line, counted from 1.
    pub line: usize,
}

/// The variables of a file in their order, or the first line that declares no variable, with its number.
pub fn read(text: &str) -> Result<Vec<Variable<'_>>, (usize, String)> {
    let mut variables = Vec::new();
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).split('\n');
    for (line, text) in (1..).zip(lines) {
        let trimmed = text.strip_suffix('\r').unwrap_or(text).trim_start();
        if text.len() >= TOO_LONG {
            return Err((line, trimmed.chars().take(80).collect()));
        }
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (key, value) = trimmed.split_once('=').map_or((trimmed, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || key.contains([' ', '\t']) {
            return Err((line, trimmed.to_owned()));
        }
        variables.push(Variable { key, value, line });
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_docker_reads_them() {
        let text = "\u{feff}A=1 \r\n# no\n\n  B=\nC\nD=x=y # z\nE\u{a0}F=1";

        let read: Vec<_> = read(text).unwrap().into_iter().map(|v| (v.line, v.key, v.value)).collect();

        assert_eq!(
            read,
            [(1, "A", Some("1 ")), (4, "B", Some("")), (5, "C", None), (6, "D", Some("x=y # z")), (7, "E\u{a0}F", Some("1"))]
        );
    }

    #[test]
    fn line_that_is_no_variable_is_named() {
        for (text, line) in [("=x", 1), ("A=1\nB C=2", 2), ("A\t=1", 1)] {
            assert_eq!(read(text).unwrap_err().0, line, "{text}");
        }
        assert!(read(&format!("A={}", "x".repeat(TOO_LONG))).is_err());
    }
}
