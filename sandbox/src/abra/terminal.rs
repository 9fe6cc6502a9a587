//! Output and questions of the stand-in. Everything goes to standard output, fatal lines too, as in abra.

use std::io::{self, BufRead, IsTerminal, Write};

use super::error::{CommandResult, Fatal};

/// The level of a log line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Fatal,
}

impl Level {
    /// Its four letters and their colour, one of the 256 of a terminal.
    fn label(self) -> (&'static str, u8) {
        match self {
            Level::Debug => ("DEBU", 63),
            Level::Info => ("INFO", 86),
            Level::Warn => ("WARN", 192),
            Level::Fatal => ("FATA", 134),
        }
    }
}

/// Prints a log line. The further lines of a text are indented.
pub(super) fn print_log(level: Level, text: &str) {
    let (label, colour) = level.label();
    let text = text.trim_end().replace('\n', "\n  ");
    let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match coloured {
        true => print_line(&format!("\x1b[1;38;5;{colour}m{label}\x1b[0m {text}")),
        false => print_line(&format!("{label} {text}")),
    }
}

pub(super) fn info(text: impl AsRef<str>) {
    print_log(Level::Info, text.as_ref());
}

pub(super) fn warn(text: impl AsRef<str>) {
    print_log(Level::Warn, text.as_ref());
}

/// Prints a line. A closed output is ignored, so that a removal does not stop half-way.
pub(super) fn print_line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints a question without a newline and reads one line.
pub(super) fn ask(question: &str) -> CommandResult<String> {
    let mut out = io::stdout();
    write!(out, "? {question} ")?;
    out.flush()?;
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer)? {
        0 => Err(Fatal::new("EOF")),
        _ => Ok(answer.trim().to_owned()),
    }
}

/// Asks for a yes. `no_input` counts as yes.
pub(super) fn confirm(no_input: bool, question: &str) -> CommandResult {
    if no_input {
        return Ok(());
    }
    match ask(&format!("{question} (y/N)"))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Fatal::new("deployment cancelled")),
    }
}

/// Prints a table as wide as the terminal on standard input. Without a terminal it is fatal.
pub(super) fn print_table(headers: &[&str], rows: &[Vec<String>]) -> CommandResult {
    let size = rustix::termios::tcgetwinsize(io::stdin()).map_err(|_| Fatal::new("inappropriate ioctl for device"))?;
    for row in render_table(headers, rows, usize::from(size.ws_col)) {
        print_line(&row);
    }
    Ok(())
}

/// Prints the overview that precedes an action. It needs no terminal.
pub(super) fn print_overview(title: &str, rows: &[(&str, String)]) {
    print_line(title);
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, value) in rows {
        print_line(&format!("  {key:width$}  {}", value.replace('\n', ", ")));
    }
}

fn render_table(headers: &[&str], rows: &[Vec<String>], columns: usize) -> Vec<String> {
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    // A table wider than the terminal loses characters from its widest column, as in abra.
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
    fn wide_table_is_cut_to_the_width_of_the_terminal() {
        let rows = vec![vec!["db".to_owned(), "a-very-long-name-of-a-volume".to_owned()]];
        assert_eq!(render_table(&["NAME", "VOLUME"], &rows, 200)[3], "┃ db   ┃ a-very-long-name-of-a-volume ┃");
        assert_eq!(render_table(&["NAME", "VOLUME"], &rows, 20)[3], "┃ db   ┃ a-very-l… ┃");
    }
}
