//! Scalars, whose lines are folded.

use super::{Done, Malformed, Mark, Scanner, is_blank, is_blankz, is_break, is_breakz};

impl Scanner {
    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Result<String, Malformed> {
        let start = self.mark;
        self.skip();
        let (mut chomping, mut increment) = (None, 0);
        for _ in 0..2 {
            match self.at(0) {
                sign @ ('+' | '-') if chomping.is_none() => {
                    chomping = Some(sign);
                    self.skip();
                }
                '0' if increment == 0 => return self.fail(start, "found an indentation indicator equal to 0"),
                digit @ '1'..='9' if increment == 0 => {
                    increment = digit.to_digit(10).unwrap_or_default() as usize;
                    self.skip();
                }
                _ => break,
            }
        }
        self.skip_to_next_line(start)?;
        let mut indent = match increment {
            0 => 0,
            increment => usize::try_from(self.indent).unwrap_or(0) + increment,
        };
        let (mut value, mut leading, mut trailing) = (String::new(), String::new(), String::new());
        self.scan_block_scalar_breaks(&mut indent, &mut trailing, start)?;
        let mut leading_blank = false;
        while self.mark.column == indent && self.at(0) != '\0' {
            let trailing_blank = is_blank(self.at(0));
            if !literal && !leading_blank && !trailing_blank && leading.starts_with('\n') {
                if trailing.is_empty() {
                    value.push(' ');
                }
            } else {
                value += &leading;
            }
            leading.clear();
            value += &trailing;
            trailing.clear();
            leading_blank = is_blank(self.at(0));
            while !is_breakz(self.at(0)) {
                self.read(&mut value);
            }
            self.read_line(&mut leading);
            self.scan_block_scalar_breaks(&mut indent, &mut trailing, start)?;
        }
        if chomping != Some('-') {
            value += &leading;
        }
        if chomping == Some('+') {
            value += &trailing;
        }
        Ok(value)
    }

    fn scan_block_scalar_breaks(&mut self, indent: &mut usize, breaks: &mut String, start: Mark) -> Done {
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.mark.column < *indent) && self.at(0) == ' ' {
                self.skip();
            }
            deepest = deepest.max(self.mark.column);
            if (*indent == 0 || self.mark.column < *indent) && self.at(0) == '\t' {
                return self.fail(start, "found a tab character where an indentation space is expected");
            }
            if !is_break(self.at(0)) {
                break;
            }
            self.read_line(breaks);
        }
        if *indent == 0 {
            *indent = deepest.max(usize::try_from(self.indent + 1).unwrap_or(0)).max(1);
        }
        Ok(())
    }

    pub(super) fn scan_flow_scalar(&mut self, single: bool) -> Result<String, Malformed> {
        let start = self.mark;
        let quote = if single { '\'' } else { '"' };
        self.skip();
        let (mut value, mut gap) = (String::new(), Gap::default());
        loop {
            if self.mark.column == 0 && (self.is_document_indicator('-') || self.is_document_indicator('.')) {
                return self.fail(start, "found unexpected document indicator");
            }
            if self.at(0) == '\0' {
                return self.fail(start, "found unexpected end of stream");
            }
            while !is_blankz(self.at(0)) {
                match self.at(0) {
                    '\'' if single && self.at(1) == '\'' => {
                        value.push('\'');
                        self.skip();
                        self.skip();
                    }
                    c if c == quote => break,
                    '\\' if !single && is_break(self.at(1)) => {
                        self.skip();
                        self.skip_line();
                        gap.broken = true;
                        break;
                    }
                    '\\' if !single => value.push(self.escape(start)?),
                    _ => self.read(&mut value),
                }
            }
            if self.at(0) == quote {
                break;
            }
            self.scan_gap(&mut gap, 0, start)?;
            gap.fold_into(&mut value);
        }
        self.skip();
        Ok(value)
    }

    fn escape(&mut self, start: Mark) -> Result<char, Malformed> {
        let plain = match self.at(1) {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            c @ (' ' | '"' | '\'' | '\\') => c,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            c @ ('x' | 'u' | 'U') => {
                let length = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                self.skip();
                self.skip();
                let mut code = 0_u32;
                for _ in 0..length {
                    let Some(digit) = self.at(0).to_digit(16) else {
                        return self.fail(start, "did not find expected hexdecimal number");
                    };
                    code = code.wrapping_mul(16).wrapping_add(digit);
                    self.skip();
                }
                return char::from_u32(code).map_or_else(|| self.fail(start, "found invalid Unicode character escape code"), Ok);
            }
            _ => return self.fail(start, "found unknown escape character"),
        };
        self.skip();
        self.skip();
        Ok(plain)
    }

    /// Reads blanks and line breaks up to the next text. A tab behind a line break has to stand at `indent` or beyond.
    fn scan_gap(&mut self, gap: &mut Gap, indent: usize, start: Mark) -> Done {
        while is_blank(self.at(0)) || is_break(self.at(0)) {
            match (is_blank(self.at(0)), gap.broken) {
                (true, true) if self.mark.column < indent && self.at(0) == '\t' => {
                    return self.fail(start, "found a tab character that violates indentation");
                }
                (true, false) => self.read(&mut gap.blanks),
                (true, true) => self.skip(),
                (false, false) => {
                    gap.blanks.clear();
                    self.read_line(&mut gap.leading);
                    gap.broken = true;
                }
                (false, true) => self.read_line(&mut gap.trailing),
            }
        }
        Ok(())
    }

    pub(super) fn scan_plain_scalar(&mut self) -> Result<String, Malformed> {
        let start = self.mark;
        let indent = usize::try_from(self.indent + 1).unwrap_or(0);
        let (mut value, mut gap) = (String::new(), Gap::default());
        loop {
            let column = self.mark.column;
            if column == 0 && (self.is_document_indicator('-') || self.is_document_indicator('.')) || self.at(0) == '#' {
                break;
            }
            while !is_blankz(self.at(0)) {
                let (c, next) = (self.at(0), self.at(1));
                if c == ':' && is_blankz(next) || self.flow_level > 0 && ",?[]{}".contains(c) {
                    break;
                }
                gap.fold_into(&mut value);
                self.read(&mut value);
            }
            if !(is_blank(self.at(0)) || is_break(self.at(0))) {
                break;
            }
            self.scan_gap(&mut gap, indent, start)?;
            if self.flow_level == 0 && self.mark.column < indent {
                break;
            }
        }
        if gap.broken {
            self.simple_key_allowed = true;
        }
        Ok(value)
    }
}

/// The blanks and line breaks between two texts of a scalar.
#[derive(Default)]
struct Gap {
    blanks: String,
    /// The first line break.
    leading: String,
    /// The line breaks behind it.
    trailing: String,
    /// Whether a line break is among them, also one that a backslash hides.
    broken: bool,
}

impl Gap {
    /// Appends what the gap stands for to `value`, and empties it. One line break becomes a blank, of more the first is left out.
    fn fold_into(&mut self, value: &mut String) {
        if !self.broken {
            *value += &self.blanks;
            self.blanks.clear();
            return;
        }
        if !self.leading.starts_with('\n') {
            *value += &self.leading;
            *value += &self.trailing;
        } else if self.trailing.is_empty() {
            value.push(' ');
        } else {
            *value += &self.trailing;
        }
        self.leading.clear();
        self.trailing.clear();
        self.broken = false;
    }
}
