//! The files that `env_file` of a service names, as docker/cli reads them.

/// The lines of a service's `env_file`. A line without `=` refers to the deployer's environment and is left out.
pub fn read(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut pairs = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err((number + 1, line.to_owned()));
        }
        pairs.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    }
    Ok(pairs)
}
