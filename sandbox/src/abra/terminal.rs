//! What the stand-in prints, and how it asks. Everything goes to standard output, fatal lines too, as with abra.

use std::io::{self, BufRead, IsTerminal, Write};

/// Why a command ends with exit code 1. The text is what follows `FATA`.
#[derive(Debug)]
pub(super) struct Fatal(pub(super) String);

impl Fatal {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<io::Error> for Fatal {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A command of the stand-in ends well or with a fatal line.
pub(super) type Done<T = ()> = Result<T, Fatal>;

/// The four-letter levels of a log line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Fatal,
}

impl Level {
    fn word(self) -> (&'static str, u8) {
        match self {
            Level::Debug => ("DEBU", 63),
            Level::Info => ("INFO", 86),
            Level::Warn => ("WARN", 192),
            Level::Fatal => ("FATA", 134),
        }
    }
}

/// A log line; a text of several lines goes on in indented lines.
pub(super) fn log(level: Level, text: &str) {
    let (word, colour) = level.word();
    let text = text.trim_end().replace('\n', "\n  ");
    let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match coloured {
        true => line(&format!("\x1b[1;38;5;{colour}m{word}\x1b[0m {text}")),
        false => line(&format!("{word} {text}")),
    }
}

pub(super) fn info(text: impl AsRef<str>) {
    log(Level::Info, text.as_ref());
}

pub(super) fn warn(text: impl AsRef<str>) {
    log(Level::Warn, text.as_ref());
}

/// One line as it is. A reader that went away is no reason to stop half-way through a removal.
pub(super) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Asks a question and reads one line. The question ends without a newline.
pub(super) fn ask(question: &str) -> Done<String> {
    let mut out = io::stdout();
    write!(out, "? {question} ")?;
    out.flush()?;
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer)? {
        0 => Err(Fatal::new("EOF")),
        _ => Ok(answer.trim().to_owned()),
    }
}

/// Asks for a yes. `no_input` counts as one.
pub(super) fn confirm(no_input: bool, question: &str) -> Done {
    if no_input {
        return Ok(());
    }
    match ask(&format!("{question} (y/N)"))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Fatal::new("deployment cancelled")),
    }
}

/// A table as wide as the terminal on standard input. Without a terminal there there is no width, and that is fatal.
pub(super) fn table(headers: &[&str], rows: &[Vec<String>]) -> Done {
    let size = rustix::termios::tcgetwinsize(io::stdin()).map_err(|_| Fatal::new("inappropriate ioctl for device"))?;
    for text in render(headers, rows, usize::from(size.ws_col)) {
        line(&text);
    }
    Ok(())
}

/// The overview before something is done; needs no terminal.
pub(super) fn overview(title: &str, rows: &[(&str, String)]) {
    line(title);
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, value) in rows {
        line(&format!("  {key:width$}  {}", value.replace('\n', ", ")));
    }
}

fn render(headers: &[&str], rows: &[Vec<String>], columns: usize) -> Vec<String> {
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    // A table wider than the terminal loses from its widest column, as abra's does.
    let frame = 3 * widths.len() + 1;
    while columns > 0 && widths.iter().sum::<usize>() + frame > columns {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 4 => *widest -= 1,
            _ => break,
        }
    }
    let rule = |left: &str, middle: &str, right: &str| {
        let cells: Vec<String> = widths.iter().map(|width| "━".repeat(width + 2)).collect();
        format!("{left}{}{right}", cells.join(middle))
    };
    let cells = |row: Vec<String>| {
        let fitted = row.iter().zip(&widths).map(|(cell, width)| match cell.chars().count() > *width {
            true => cell.chars().take(width - 1).chain(['…']).collect::<String>(),
            false => format!("{cell:width$}"),
        });
        format!("┃ {} ┃", fitted.collect::<Vec<_>>().join(" ┃ "))
    };
    let mut lines = vec![rule("┏", "┳", "┓"), cells(headers.iter().map(ToString::to_string).collect()), rule("┣", "╋", "┫")];
    lines.extend(rows.iter().map(|row| cells(row.clone())));
    lines.push(rule("┗", "┻", "┛"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_squeezed_to_the_terminal() {
        let rows = vec![vec!["db".to_owned(), "a-very-long-name-of-a-volume".to_owned()]];
        assert_eq!(render(&["NAME", "VOLUME"], &rows, 200)[3], "┃ db   ┃ a-very-long-name-of-a-volume ┃");
        assert_eq!(render(&["NAME", "VOLUME"], &rows, 20)[3], "┃ db   ┃ a-very-l… ┃");
    }
}
