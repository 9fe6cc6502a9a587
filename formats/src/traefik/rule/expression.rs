//! The text of a rule as a tree of calls. Traefik reads it as an expression of Go with `&&`, `||`, `!` and calls with strings.

use super::RuleError;

/// The depth from which on a rule is refused, so that no rule exhausts the stack.
const DEEPEST: usize = 128;

/// An expression of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Call { name: String, arguments: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    And,
    Or,
    Not,
    Open,
    Close,
    Comma,
    Name(String),
    Text(String),
    /// The end of a line after a name, a text or a bracket, which ends an expression of Go.
    End,
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        let mut tokens = tokens(text)?;
        // Go allows one end of a line at the end of the text.
        if tokens.last() == Some(&Token::End) {
            tokens.pop();
        }
        let mut parser = Parser { tokens, at: 0 };
        let expression = parser.either(0)?;
        match parser.next() {
            None => Ok(expression),
            Some(token) => Err(unexpected(Some(&token))),
        }
    }
}

fn unexpected(token: Option<&Token>) -> RuleError {
    let what = match token {
        None => "the end of the rule".to_owned(),
        Some(Token::And) => "&&".to_owned(),
        Some(Token::Or) => "||".to_owned(),
        Some(Token::Not) => "!".to_owned(),
        Some(Token::Open) => "an opening bracket".to_owned(),
        Some(Token::Close) => "a closing bracket".to_owned(),
        Some(Token::Comma) => "a comma".to_owned(),
        Some(Token::Name(name)) => format!("the name {name}"),
        Some(Token::Text(text)) => format!("the text {text:?}"),
        Some(Token::End) => "the end of a line".to_owned(),
    };
    RuleError::Invalid(format!("{what} is not expected"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self, depth: usize) -> Result<Expression, RuleError> {
        let mut left = self.both(depth)?;
        while self.take(&Token::Or) {
            left = Expression::Or(Box::new(left), Box::new(self.both(depth)?));
        }
        Ok(left)
    }

    fn both(&mut self, depth: usize) -> Result<Expression, RuleError> {
        let mut left = self.unary(depth)?;
        while self.take(&Token::And) {
            left = Expression::And(Box::new(left), Box::new(self.unary(depth)?));
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Expression, RuleError> {
        if depth > DEEPEST {
            return Err(RuleError::Unsupported(format!("more than {DEEPEST} brackets in each other")));
        }
        match self.next() {
            Some(Token::Not) => Ok(Expression::Not(Box::new(self.unary(depth + 1)?))),
            Some(Token::Open) => {
                let inner = self.either(depth + 1)?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    other => Err(unexpected(other.as_ref())),
                }
            }
            Some(Token::Name(name)) if self.take(&Token::Open) => Ok(Expression::Call { name, arguments: self.arguments()? }),
            other => Err(unexpected(other.as_ref())),
        }
    }

    /// The arguments of a call and its closing bracket. Go allows a comma after the last one.
    fn arguments(&mut self) -> Result<Vec<String>, RuleError> {
        let mut arguments = Vec::new();
        loop {
            match self.next() {
                Some(Token::Close) => return Ok(arguments),
                Some(Token::Text(text)) => arguments.push(text),
                other => return Err(unexpected(other.as_ref())),
            }
            match self.next() {
                Some(Token::Close) => return Ok(arguments),
                Some(Token::Comma) => {}
                other => return Err(unexpected(other.as_ref())),
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, RuleError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            ' ' | '\t' | '\r' => {}
            '\n' => {
                if matches!(tokens.last(), Some(Token::Name(_) | Token::Text(_) | Token::Close)) {
                    tokens.push(Token::End);
                }
            }
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '!' => tokens.push(Token::Not),
            '&' | '|' if rest[1..].starts_with(c) => {
                tokens.push(if c == '&' { Token::And } else { Token::Or });
                length = 2;
            }
            '`' => {
                let inside = rest[1..].split_once('`').ok_or_else(|| RuleError::Invalid("a backtick is not closed".into()))?.0;
                length = inside.len() + 2;
                // Go takes carriage returns out of such a text.
                tokens.push(Token::Text(inside.replace('\r', "")));
            }
            '"' => {
                let (inside, end) = quoted(&rest[1..])?;
                tokens.push(Token::Text(inside));
                length = end + 1;
            }
            '\'' => return Err(RuleError::Invalid("a text is in backticks or double quotes, not in single ones".into())),
            '/' if rest[1..].starts_with(['/', '*']) => return Err(RuleError::Unsupported("a comment".into())),
            '.' if rest.starts_with("...") => return Err(RuleError::Unsupported("a list as arguments".into())),
            c if c.is_ascii_alphabetic() || c == '_' => {
                length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..length].to_owned()));
            }
            c => return Err(RuleError::Invalid(format!("{c:?} is not expected"))),
        }
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// The text after a double quote up to the closing one, and the place after that.
fn quoted(text: &str) -> Result<(String, usize), RuleError> {
    let open = || RuleError::Invalid("a double quote is not closed".into());
    let mut out = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next().ok_or_else(open)? {
            (at, '"') => return Ok((out, at + 1)),
            (_, '\n') => return Err(open()),
            (_, '\\') => out.push(match chars.next().ok_or_else(open)?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                c @ ('\\' | '"') => c,
                c @ ('x' | 'u' | 'U' | '0'..='7') => {
                    return Err(RuleError::Unsupported(format!("the escape \\{c} in a quoted text")));
                }
                c => return Err(RuleError::Invalid(format!("the escape \\{c} in a quoted text"))),
            }),
            (_, c) => out.push(c),
        }
    }
}
