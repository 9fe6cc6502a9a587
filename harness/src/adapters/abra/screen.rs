//! A minimal terminal: the text on the screen after some output, without control sequences and with repainted lines once. Pure.

/// The most blanks and empty lines that moves of the cursor add together, so that a broken program cannot fill memory.
const MAX_PADDING: usize = 1 << 20;

/// The text on a terminal after `raw` was written to it, from the first line on, lines ended by `\n`.
pub fn screen_text(raw: &[u8]) -> String {
    let mut screen = Screen::default();
    let text = String::from_utf8_lossy(raw);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => screen.down(1),
            '\r' => screen.column = 0,
            '\u{8}' => screen.column = screen.column.saturating_sub(1),
            '\t' => {
                for _ in 0..8 - screen.column % 8 {
                    screen.put(' ');
                }
            }
            '\u{1b}' => match chars.next() {
                Some('[') => {
                    let mut parameters = String::new();
                    let last = loop {
                        match chars.next() {
                            Some(c @ '\u{40}'..='\u{7e}') => break Some(c),
                            Some(c) if parameters.len() < 64 => parameters.push(c),
                            _ => break None,
                        }
                    };
                    screen.control(last, &parameters);
                }
                // Operating system commands and other strings end with BEL or ESC \.
                Some(']' | 'P' | '_' | '^' | 'X') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some('(' | ')' | '#' | '%') => drop(chars.next()),
                _ => {}
            },
            c if c.is_control() => {}
            c => screen.put(c),
        }
    }
    screen.text()
}

#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// The blanks and empty lines that moves beyond the text added so far.
    padding: usize,
}

impl Screen {
    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        let end = self.line().len();
        let blanks = self.allowed(self.column.saturating_sub(end));
        let column = self.column.min(end + blanks);
        let line = self.line();
        if line.len() <= column {
            line.resize(column + 1, ' ');
        }
        line[column] = c;
        self.column = column + 1;
    }

    /// How many of the `wanted` blanks or empty lines may still be added.
    fn allowed(&mut self, wanted: usize) -> usize {
        let allowed = wanted.min(MAX_PADDING - self.padding);
        self.padding += allowed;
        allowed
    }

    /// A new line also goes to the first column: the terminal's driver writes CR LF, and files have LF only.
    fn down(&mut self, by: usize) {
        self.line();
        self.row += by;
        self.column = 0;
    }

    fn control(&mut self, last: Option<char>, parameters: &str) {
        // No terminal is larger than this.
        let count = parameters.split(';').next().and_then(|text| text.parse().ok()).unwrap_or(0_usize).min(1000);
        let by = count.max(1);
        match last {
            Some('A') => self.row = self.row.saturating_sub(by),
            Some('B') => self.row = (self.row + by).min(self.lines.len().saturating_sub(1)),
            Some('C') => self.column += by,
            Some('D') => self.column = self.column.saturating_sub(by),
            Some('E') => {
                let there = self.lines.len().saturating_sub(self.row + 1).min(by);
                let by = there + self.allowed(by - there);
                self.down(by);
            }
            Some('F') => (self.row, self.column) = (self.row.saturating_sub(by), 0),
            Some('G') => self.column = by - 1,
            Some('K') => {
                let column = self.column;
                let line = self.line();
                match count {
                    0 => line.truncate(column),
                    1 => line.iter_mut().take(column + 1).for_each(|c| *c = ' '),
                    _ => line.clear(),
                }
            }
            Some('J') if count == 0 => {
                let column = self.column;
                self.line().truncate(column);
                self.lines.truncate(self.row + 1);
            }
            _ => {}
        }
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().map(|line| line.iter().collect::<String>());
        let mut text = lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n");
        // An unfinished line stays without an end, which distinguishes a question from other output.
        if self.row >= self.lines.len() && !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repainted_line_is_shown_in_its_last_state() {
        for (raw, text) in [
            ("plain\r\nlines\r\n", "plain\nlines\n"),
            ("\x1b[1;38;5;134mFATA\x1b[0m no\r\n", "FATA no\n"),
            ("10 %\r50 %\r100 %\r\n", "100 %\n"),
            ("waiting\r\x1b[Kdone\r\n", "done\n"),
            ("a 0/1\r\nb 0/1\r\n\x1b[2A\x1b[2Ka 1/1\r\n\x1b[2Kb 1/1\r\n", "a 1/1\nb 1/1\n"),
            ("\x1b]0;title\x07text\r\n", "text\n"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\r\n", "link\n"),
            ("\x1b(Bx\x1b=y\r\n", "xy\n"),
            ("proceed? ", "proceed?"),
            ("a\r\n\r\nb", "a\n\nb"),
            ("", ""),
        ] {
            assert_eq!(screen_text(raw.as_bytes()), text, "{raw:?}");
        }
    }

    #[test]
    fn invalid_control_sequences_do_not_fill_memory() {
        for raw in [&b"\x1b"[..], b"\x1b[", b"\x1b[999999999C\xff\xfe", b"\x1b]", b"\x1b[5A\x1b[3J\x1b[1K"] {
            assert!(screen_text(raw).len() < 5000);
        }
        for raw in ["\x1b[1000E", "\x1b[1000Cx", "\n\x1b[1000Cx", "\x1b[1000C\t"] {
            assert!(screen_text(raw.repeat(20_000).as_bytes()).len() < 2 * MAX_PADDING, "{raw:?}");
        }
    }
}
