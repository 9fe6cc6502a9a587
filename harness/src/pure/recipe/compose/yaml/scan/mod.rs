//! Tokens of YAML as the scanner of Docker's YAML library (`gopkg.in/yaml.v3` 3.0.1, `scannerc.go`) makes them.
//!
//! The library is YAML 1.1 with habits of its own, and no Rust library has all of them. The functions keep the library's order
//! and names, so that both can be compared side by side.

mod scalars;

use std::collections::{BTreeMap, VecDeque};

/// A place: a line and a column from 0, and the number of characters before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Error of scanning or parsing.
#[derive(Debug, Clone)]
pub(in super::super) struct Malformed {
    pub(super) at: Mark,
    pub(super) problem: String,
    /// Whether Docker reads it all the same, in a way that a reader would not expect or that differs from machine to machine.
    pub(super) unclear: bool,
}

impl Malformed {
    pub(super) fn new(at: Mark, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into(), unclear: false }
    }

    pub(super) fn unclear(at: Mark, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into(), unclear: true }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    StreamStart,
    StreamEnd,
    Version { major: i8, minor: i8 },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { value: String, plain: bool },
}

#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token: usize,
    mark: Mark,
}

/// How far the library looks for a comment, in characters.
const COMMENT_REACH: usize = 512;
/// The library's limit of digits in a version.
const VERSION_DIGITS: usize = 2;

type Done = Result<(), Malformed>;

pub(super) struct Scanner {
    text: Vec<char>,
    mark: Mark,
    /// Line ends since the last character that is no blank.
    newlines: usize,
    started: bool,
    flow_level: usize,
    /// Tokens with their places, and how many of them were taken.
    tokens: VecDeque<(Token, Mark)>,
    taken: usize,
    available: bool,
    indent: isize,
    indents: Vec<isize>,
    simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    simple_keys_by_token: BTreeMap<usize, usize>,
}

impl Scanner {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.chars().collect(),
            mark: Mark::default(),
            newlines: 0,
            started: false,
            flow_level: 0,
            tokens: VecDeque::new(),
            taken: 0,
            available: false,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: Vec::new(),
            simple_keys_by_token: BTreeMap::new(),
        }
    }

    /// The next token with its place.
    pub(super) fn peek(&mut self) -> Result<(&Token, Mark), Malformed> {
        if !self.available {
            self.fetch_more_tokens()?;
        }
        self.tokens.front().map(|(token, mark)| (token, *mark)).ok_or(Malformed::new(self.mark, "nothing follows"))
    }

    pub(super) fn take(&mut self) -> Result<(Token, Mark), Malformed> {
        self.peek()?;
        self.available = false;
        self.taken += 1;
        self.tokens.pop_front().ok_or(Malformed::new(self.mark, "nothing follows"))
    }

    /// The character `ahead`; NUL behind the end, which no text has.
    fn at(&self, ahead: usize) -> char {
        self.text.get(self.mark.index + ahead).copied().unwrap_or('\0')
    }

    fn fail<T>(&self, at: Mark, problem: &str) -> Result<T, Malformed> {
        Err(Malformed::new(at, problem))
    }

    fn skip(&mut self) {
        if !is_blank(self.at(0)) {
            self.newlines = 0;
        }
        self.mark.index += 1;
        self.mark.column += 1;
    }

    fn skip_line(&mut self) {
        let width = match (self.at(0), self.at(1)) {
            ('\r', '\n') => 2,
            (c, _) if is_break(c) => 1,
            _ => return,
        };
        self.mark.index += width;
        self.mark.column = 0;
        self.mark.line += 1;
        self.newlines += 1;
    }

    fn read(&mut self, into: &mut String) {
        into.push(self.at(0));
        self.skip();
    }

    /// A line end: the separators of lines and paragraphs stay, all others become `\n`.
    fn read_line(&mut self, into: &mut String) {
        match self.at(0) {
            c @ ('\u{2028}' | '\u{2029}') => into.push(c),
            c if is_break(c) => into.push('\n'),
            _ => return,
        }
        self.skip_line();
    }

    fn insert(&mut self, at: Option<usize>, token: Token, mark: Mark) {
        match at {
            Some(at) => self.tokens.insert(at.min(self.tokens.len()), (token, mark)),
            None => self.tokens.push_back((token, mark)),
        }
    }

    fn fetch_more_tokens(&mut self) -> Done {
        loop {
            // The library looks two tokens ahead for its comments, which decides when a missing `:` is noticed.
            if self.tokens.len() > 2 {
                let Some(key) = self.simple_keys_by_token.get(&self.taken).copied() else { break };
                if !self.simple_key_is_valid(key)? {
                    break;
                }
            }
            self.fetch_next_token()?;
        }
        self.available = true;
        Ok(())
    }

    fn fetch_next_token(&mut self) -> Done {
        if !self.started {
            self.started = true;
            self.simple_keys.push(SimpleKey::default());
            self.insert(None, Token::StreamStart, self.mark);
            return Ok(());
        }
        self.scan_to_next_token()?;
        self.unroll_indent(self.mark.column as isize);
        let (c, next) = (self.at(0), self.at(1));
        if c == '\0' {
            return self.fetch_stream_end();
        }
        if self.mark.column == 0 && c == '%' {
            return self.fetch_directive();
        }
        if self.mark.column == 0 && self.is_document_indicator('-') {
            return self.fetch_document_indicator(Token::DocumentStart);
        }
        if self.mark.column == 0 && self.is_document_indicator('.') {
            return self.fetch_document_indicator(Token::DocumentEnd);
        }
        let flow = self.flow_level > 0;
        match c {
            '[' => self.fetch_flow_collection_start(Token::FlowSequenceStart)?,
            '{' => self.fetch_flow_collection_start(Token::FlowMappingStart)?,
            ']' => self.fetch_flow_collection_end(Token::FlowSequenceEnd)?,
            '}' => self.fetch_flow_collection_end(Token::FlowMappingEnd)?,
            ',' => self.fetch_flow_entry()?,
            '-' if is_blankz(next) => self.fetch_block_entry()?,
            '?' if flow || is_blankz(next) => self.fetch_key()?,
            ':' if flow || is_blankz(next) => self.fetch_value()?,
            '*' | '&' => self.fetch_anchor(c == '*')?,
            '!' => self.fetch_tag()?,
            '|' | '>' if !flow => self.fetch_block_scalar(c == '|')?,
            '\'' | '"' => self.fetch_flow_scalar(c == '\'')?,
            _ => {
                let starts = !(is_blankz(c) || "-?:,[]{}#&*!|>'\"%@`".contains(c))
                    || c == '-' && !is_blank(next)
                    || !flow && (c == '?' || c == ':') && !is_blankz(next);
                if !starts {
                    return self.fail(self.mark, "found character that cannot start any token");
                }
                self.fetch_plain_scalar()?;
            }
        }
        if !matches!(self.tokens.back(), Some((Token::BlockEntry, _))) {
            self.scan_line_comment();
        }
        Ok(())
    }

    fn is_document_indicator(&self, mark: char) -> bool {
        (0..3).all(|ahead| self.at(ahead) == mark) && is_blankz(self.at(3))
    }

    fn simple_key_is_valid(&mut self, key: usize) -> Result<bool, Malformed> {
        let Some(simple) = self.simple_keys.get(key).copied().filter(|simple| simple.possible) else { return Ok(false) };
        if simple.mark.line < self.mark.line || simple.mark.index + 1024 < self.mark.index {
            if simple.required {
                return self.fail(simple.mark, "could not find expected ':'");
            }
            self.simple_keys[key].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn save_simple_key(&mut self) -> Done {
        let required = self.flow_level == 0 && self.indent == self.mark.column as isize;
        if self.simple_key_allowed {
            let token = self.taken + self.tokens.len();
            let simple = SimpleKey { possible: true, required, token, mark: self.mark };
            self.remove_simple_key()?;
            let last = self.simple_keys.len() - 1;
            self.simple_keys[last] = simple;
            self.simple_keys_by_token.insert(token, last);
        }
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Done {
        let last = self.simple_keys.len() - 1;
        let simple = self.simple_keys[last];
        if simple.possible {
            if simple.required {
                return self.fail(simple.mark, "could not find expected ':'");
            }
            self.simple_keys[last].possible = false;
            self.simple_keys_by_token.remove(&simple.token);
        }
        Ok(())
    }

    fn roll_indent(&mut self, column: usize, token: Option<usize>, kind: Token, mark: Mark) {
        if self.flow_level == 0 && self.indent < column as isize {
            self.indents.push(self.indent);
            self.indent = column as isize;
            self.insert(token.and_then(|token| token.checked_sub(self.taken)), kind, mark);
        }
    }

    fn unroll_indent(&mut self, column: isize) {
        while self.flow_level == 0 && self.indent > column {
            self.insert(None, Token::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch_stream_end(&mut self) -> Done {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.insert(None, Token::StreamEnd, self.mark);
        Ok(())
    }

    fn fetch_directive(&mut self) -> Done {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let token = self.scan_directive()?;
        self.insert(None, token, start);
        Ok(())
    }

    fn fetch_document_indicator(&mut self, token: Token) -> Done {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        (0..3).for_each(|_| self.skip());
        self.insert(None, token, start);
        Ok(())
    }

    /// Consumes one character as a token.
    fn indicator(&mut self, token: Token) {
        let start = self.mark;
        self.skip();
        self.insert(None, token, start);
    }

    fn fetch_flow_collection_start(&mut self, token: Token) -> Done {
        self.save_simple_key()?;
        let number = self.taken + self.tokens.len();
        self.simple_keys.push(SimpleKey { token: number, mark: self.mark, ..SimpleKey::default() });
        self.flow_level += 1;
        self.simple_key_allowed = true;
        self.indicator(token);
        Ok(())
    }

    fn fetch_flow_collection_end(&mut self, token: Token) -> Done {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(last) = self.simple_keys.pop() {
                self.simple_keys_by_token.remove(&last.token);
            }
        }
        self.simple_key_allowed = false;
        self.indicator(token);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Done {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.indicator(Token::FlowEntry);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Done {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return self.fail(self.mark, "block sequence entries are not allowed in this context");
            }
            self.roll_indent(self.mark.column, None, Token::BlockSequenceStart, self.mark);
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.indicator(Token::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Done {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return self.fail(self.mark, "mapping keys are not allowed in this context");
            }
            self.roll_indent(self.mark.column, None, Token::BlockMappingStart, self.mark);
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.indicator(Token::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Done {
        let last = self.simple_keys.len() - 1;
        if self.simple_key_is_valid(last)? {
            let simple = self.simple_keys[last];
            // A token that was taken already makes the library append the key instead.
            self.insert(simple.token.checked_sub(self.taken), Token::Key, simple.mark);
            self.roll_indent(simple.mark.column, Some(simple.token), Token::BlockMappingStart, simple.mark);
            self.simple_keys[last].possible = false;
            self.simple_keys_by_token.remove(&simple.token);
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return self.fail(self.mark, "mapping values are not allowed in this context");
                }
                self.roll_indent(self.mark.column, None, Token::BlockMappingStart, self.mark);
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.indicator(Token::Value);
        Ok(())
    }

    fn fetch_anchor(&mut self, alias: bool) -> Done {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        let name = self.word();
        if name.is_empty() || !(is_blankz(self.at(0)) || "?:,]}%@`".contains(self.at(0))) {
            return self.fail(start, "did not find expected alphabetic or numeric character");
        }
        self.insert(None, if alias { Token::Alias(name) } else { Token::Anchor(name) }, start);
        Ok(())
    }

    fn fetch_tag(&mut self) -> Done {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let token = self.scan_tag()?;
        self.insert(None, token, start);
        Ok(())
    }

    fn fetch_block_scalar(&mut self, literal: bool) -> Done {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let start = self.mark;
        let value = self.scan_block_scalar(literal)?;
        self.insert(None, Token::Scalar { value, plain: false }, start);
        Ok(())
    }

    fn fetch_flow_scalar(&mut self, single: bool) -> Done {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let value = self.scan_flow_scalar(single)?;
        self.insert(None, Token::Scalar { value, plain: false }, start);
        Ok(())
    }

    fn fetch_plain_scalar(&mut self) -> Done {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let value = self.scan_plain_scalar()?;
        self.insert(None, Token::Scalar { value, plain: true }, start);
        Ok(())
    }

    fn scan_to_next_token(&mut self) -> Done {
        loop {
            while self.at(0) == ' ' || (self.flow_level > 0 || !self.simple_key_allowed) && self.at(0) == '\t' {
                self.skip();
            }
            if self.at(0) == '#' {
                self.scan_comments();
            }
            if !is_break(self.at(0)) {
                return Ok(());
            }
            self.skip_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    /// Skips comments. What stands before a comment that follows another one is skipped unseen, tabs too.
    fn scan_comments(&mut self) {
        let mut ahead = 0;
        while ahead < COMMENT_REACH {
            let c = self.at(ahead);
            // The library counts bytes, and takes none of the line ends of several bytes here.
            if is_blank(c) || matches!(c, '\n' | '\r') {
                ahead += 1;
                continue;
            }
            if c != '#' {
                return;
            }
            self.skip_comment(self.mark.index + ahead);
            ahead = 0;
        }
    }

    /// Skips a comment on the line of a token that has just been read.
    fn scan_line_comment(&mut self) {
        if self.newlines > 0 {
            return;
        }
        let ahead = (0..COMMENT_REACH).find(|ahead| !is_blank(self.at(*ahead)));
        if let Some(ahead) = ahead.filter(|ahead| self.at(*ahead) == '#') {
            self.skip_comment(self.mark.index + ahead);
        }
    }

    fn skip_comment(&mut self, start: usize) {
        loop {
            match is_breakz(self.at(0)) {
                true if self.mark.index >= start => return,
                true => self.skip_line(),
                false => self.skip(),
            }
        }
    }

    /// Letters, digits, `_` and `-`.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while is_alpha(self.at(0)) {
            self.read(&mut word);
        }
        word
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.at(0)) {
            self.skip();
        }
    }

    fn scan_directive(&mut self) -> Result<Token, Malformed> {
        let start = self.mark;
        self.skip();
        let name = self.word();
        if name.is_empty() || !is_blankz(self.at(0)) {
            return self.fail(start, "could not find expected directive name");
        }
        let token = match name.as_str() {
            "YAML" => {
                self.skip_blanks();
                let major = self.version_number(start)?;
                if self.at(0) != '.' {
                    return self.fail(start, "did not find expected digit or '.' character");
                }
                self.skip();
                Token::Version { major, minor: self.version_number(start)? }
            }
            "TAG" => {
                self.skip_blanks();
                let handle = self.scan_tag_handle(true, start)?;
                if !is_blank(self.at(0)) {
                    return self.fail(start, "did not find expected whitespace");
                }
                self.skip_blanks();
                let prefix = self.scan_tag_uri(None, start)?;
                if !is_blankz(self.at(0)) {
                    return self.fail(start, "did not find expected whitespace or line break");
                }
                Token::TagDirective { handle, prefix }
            }
            _ => return self.fail(start, "found unknown directive name"),
        };
        self.skip_to_next_line(start)?;
        Ok(token)
    }

    /// Skips what may stand behind a directive or the header of a block scalar: blanks, a comment, and the end of the line.
    fn skip_to_next_line(&mut self, start: Mark) -> Result<(), Malformed> {
        self.skip_blanks();
        if self.at(0) == '#' {
            self.skip_comment(self.mark.index);
        }
        if !is_breakz(self.at(0)) {
            return self.fail(start, "did not find expected comment or line break");
        }
        self.skip_line();
        Ok(())
    }

    fn version_number(&mut self, start: Mark) -> Result<i8, Malformed> {
        let (mut value, mut length) = (0_i8, 0);
        while let Some(digit) = self.at(0).to_digit(10) {
            length += 1;
            if length > VERSION_DIGITS {
                return self.fail(start, "found extremely long version number");
            }
            value = value.wrapping_mul(10).wrapping_add(digit as i8);
            self.skip();
        }
        if length == 0 { self.fail(start, "did not find expected version number") } else { Ok(value) }
    }

    fn scan_tag(&mut self) -> Result<Token, Malformed> {
        let start = self.mark;
        let (handle, suffix) = if self.at(1) == '<' {
            self.skip();
            self.skip();
            let suffix = self.scan_tag_uri(None, start)?;
            if self.at(0) != '>' {
                return self.fail(start, "did not find the expected '>'");
            }
            self.skip();
            (String::new(), suffix)
        } else {
            let handle = self.scan_tag_handle(false, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri(None, start)?;
                (handle, suffix)
            } else {
                match self.scan_tag_uri(Some(&handle), start)? {
                    suffix if suffix.is_empty() => (suffix, "!".to_owned()),
                    suffix => ("!".to_owned(), suffix),
                }
            }
        };
        match is_blankz(self.at(0)) {
            true => Ok(Token::Tag { handle, suffix }),
            false => self.fail(start, "did not find expected whitespace or line break"),
        }
    }

    fn scan_tag_handle(&mut self, directive: bool, start: Mark) -> Result<String, Malformed> {
        if self.at(0) != '!' {
            return self.fail(start, "did not find expected '!'");
        }
        let mut handle = String::new();
        self.read(&mut handle);
        handle += &self.word();
        if self.at(0) == '!' {
            self.read(&mut handle);
        } else if directive && handle != "!" {
            return self.fail(start, "did not find expected '!'");
        }
        Ok(handle)
    }

    fn scan_tag_uri(&mut self, head: Option<&str>, start: Mark) -> Result<String, Malformed> {
        let mut uri: Vec<u8> = head.and_then(|head| head.get(1..)).unwrap_or_default().as_bytes().to_vec();
        let mut found = head.is_some();
        while is_alpha(self.at(0)) || ";/?:@&=+$,.!~*'()[]%".contains(self.at(0)) {
            if self.at(0) == '%' {
                let digit = |c: char| c.to_digit(16);
                let octet = digit(self.at(1)).zip(digit(self.at(2))).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                let Some(octet) = octet else { return self.fail(start, "did not find URI escaped octet") };
                uri.push(octet);
                (0..3).for_each(|_| self.skip());
            } else {
                uri.push(self.at(0) as u8);
                self.skip();
            }
            found = true;
        }
        if !found {
            return self.fail(start, "did not find expected tag URI");
        }
        String::from_utf8(uri).or_else(|_| self.fail(start, "found an incorrect UTF-8 octet"))
    }
}

fn is_alpha(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_breakz(c: char) -> bool {
    is_break(c) || c == '\0'
}

fn is_blankz(c: char) -> bool {
    is_blank(c) || is_breakz(c)
}
