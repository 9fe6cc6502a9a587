//! The nodes of a document as the parser of Docker's YAML library (`parserc.go`, `decode.go`) makes them.

use std::collections::BTreeMap;

use super::{
    scalar,
    scan::{Malformed, Mark, Scanner, Token},
};

/// The maximum nesting of a compose file, aliases included. Real files need eight.
pub(super) const DEPTH: usize = 100;

pub(super) const MERGE: &str = "!!merge";
pub(super) const STR: &str = "!!str";
const LONG: &str = "tag:yaml.org,2002:";

/// A node, by its number in the document.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) at: Mark,
    /// The tag: the written one, `!!str` for quoted texts, else the resolved one.
    pub(super) tag: String,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(String),
    Sequence(Vec<Id>),
    /// Keys and values in turn.
    Mapping(Vec<(Id, Id)>),
    Alias {
        name: String,
        target: Id,
    },
}

#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) nodes: Vec<Parsed>,
}

impl Document {
    /// The tag of a node, and of its target for an alias.
    pub(super) fn tag(&self, id: Id) -> &str {
        match &self.nodes[id].content {
            Content::Alias { target, .. } => self.tag(*target),
            _ => &self.nodes[id].tag,
        }
    }
}

/// The properties before a node.
#[derive(Default)]
struct Properties {
    start: Mark,
    anchor: Option<String>,
    tag: Option<String>,
}

struct Parser {
    scanner: Scanner,
    document: Document,
    anchors: BTreeMap<String, Id>,
    handles: BTreeMap<String, String>,
    depth: usize,
}

/// The only document of a text, with its root; without a root for an empty text.
pub(super) fn parse(text: &str) -> Result<(Document, Option<Id>), Malformed> {
    let parser = Parser {
        scanner: Scanner::new(text),
        document: Document::default(),
        anchors: BTreeMap::new(),
        handles: BTreeMap::new(),
        depth: 0,
    };
    parser.stream()
}

impl Parser {
    fn stream(mut self) -> Result<(Document, Option<Id>), Malformed> {
        self.scanner.take()?;
        let (token, mark) = self.peek()?;
        let root = match token {
            Token::StreamEnd => None,
            Token::Version { .. } | Token::TagDirective { .. } | Token::DocumentStart => {
                self.directives()?;
                match self.scanner.take()? {
                    (Token::DocumentStart, _) => {}
                    (_, mark) => return fail(mark, "did not find expected <document start>"),
                }
                let (token, mark) = self.peek()?;
                match token {
                    Token::Version { .. }
                    | Token::TagDirective { .. }
                    | Token::DocumentStart
                    | Token::DocumentEnd
                    | Token::StreamEnd => Some(self.empty(mark)),
                    _ => Some(self.node(true, false)?),
                }
            }
            _ => {
                let _ = mark;
                self.directives()?;
                Some(self.node(true, false)?)
            }
        };
        self.nothing_follows()?;
        Ok((self.document, root))
    }

    /// Docker reads one document and ignores what follows, which a reader would not expect.
    fn nothing_follows(&mut self) -> Result<(), Malformed> {
        loop {
            match self.scanner.take()? {
                (Token::StreamEnd, _) => return Ok(()),
                (Token::DocumentEnd | Token::DocumentStart, _) => {}
                (_, mark) => return Err(Malformed::unclear(mark, "Docker would ignore what follows the first document")),
            }
        }
    }

    fn peek(&mut self) -> Result<(Token, Mark), Malformed> {
        self.scanner.peek().map(|(token, mark)| (token.clone(), mark))
    }

    fn next_is(&mut self, wanted: &[Token]) -> Result<bool, Malformed> {
        Ok(wanted.contains(self.scanner.peek()?.0))
    }

    fn directives(&mut self) -> Result<(), Malformed> {
        let mut versions = 0;
        loop {
            let (token, mark) = self.peek()?;
            match token {
                Token::Version { major: 1, minor: 1 } if versions == 0 => versions += 1,
                Token::Version { .. } => return fail(mark, "found incompatible YAML document"),
                Token::TagDirective { handle, prefix } => {
                    if self.handles.insert(handle, prefix).is_some() {
                        return fail(mark, "found duplicate %TAG directive");
                    }
                }
                _ => break,
            }
            self.scanner.take()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", LONG)] {
            self.handles.entry(handle.to_owned()).or_insert_with(|| prefix.to_owned());
        }
        Ok(())
    }

    fn add(&mut self, at: Mark, tag: String, content: Content) -> Id {
        self.document.nodes.push(Parsed { at, tag, content });
        self.document.nodes.len() - 1
    }

    fn empty(&mut self, at: Mark) -> Id {
        self.scalar(Properties { start: at, ..Properties::default() }, String::new(), true)
    }

    fn scalar(&mut self, properties: Properties, value: String, plain: bool) -> Id {
        let tag = match properties.tag {
            Some(tag) if tag != "!" => short(&tag),
            _ if !plain => STR.to_owned(),
            _ if value == "<<" => MERGE.to_owned(),
            _ => scalar::resolved_tag(&value).to_owned(),
        };
        let id = self.add(properties.start, tag, Content::Scalar(value));
        self.anchor(properties.anchor, id);
        id
    }

    fn anchor(&mut self, anchor: Option<String>, id: Id) {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
    }

    /// A collection without its content, which may refer to it.
    fn collection(&mut self, properties: Properties, default: &str, content: Content) -> Id {
        let tag = properties.tag.filter(|tag| tag != "!").map_or_else(|| default.to_owned(), |tag| short(&tag));
        let id = self.add(properties.start, tag, content);
        self.anchor(properties.anchor, id);
        id
    }

    fn properties(&mut self) -> Result<Properties, Malformed> {
        let mut properties = Properties { start: self.peek()?.1, ..Properties::default() };
        for _ in 0..2 {
            match self.peek()? {
                (Token::Anchor(name), _) if properties.anchor.is_none() => properties.anchor = Some(name),
                (Token::Tag { handle, suffix }, mark) if properties.tag.is_none() => {
                    let tag = match handle.as_str() {
                        "" => suffix,
                        handle => match self.handles.get(handle) {
                            Some(prefix) => format!("{prefix}{suffix}"),
                            None => return fail(mark, "found undefined tag handle"),
                        },
                    };
                    properties.tag = Some(tag);
                }
                _ => break,
            }
            self.scanner.take()?;
        }
        Ok(properties)
    }

    fn node(&mut self, block: bool, indentless: bool) -> Result<Id, Malformed> {
        if let (Token::Alias(name), mark) = self.peek()? {
            self.scanner.take()?;
            let Some(target) = self.anchors.get(&name).copied() else {
                return fail(mark, &format!("unknown anchor '{name}' referenced"));
            };
            return Ok(self.add(mark, String::new(), Content::Alias { name, target }));
        }
        self.depth += 1;
        let properties = self.properties()?;
        let (token, mark) = self.peek()?;
        if self.depth > DEPTH {
            return Err(Malformed::unclear(mark, format!("nested deeper than {DEPTH} levels")));
        }
        let id = match token {
            Token::BlockEntry if indentless => {
                let id = self.collection(properties, "!!seq", Content::Sequence(Vec::new()));
                let items = self.indentless_sequence()?;
                self.document.nodes[id].content = Content::Sequence(items);
                id
            }
            Token::Scalar { value, plain } => {
                self.scanner.take()?;
                self.scalar(properties, value, plain)
            }
            Token::FlowSequenceStart => self.sequence(properties, Self::flow_sequence)?,
            Token::FlowMappingStart => self.mapping(properties, Self::flow_mapping)?,
            Token::BlockSequenceStart if block => self.sequence(properties, Self::block_sequence)?,
            Token::BlockMappingStart if block => self.mapping(properties, Self::block_mapping)?,
            _ if properties.anchor.is_some() || properties.tag.as_deref().is_some_and(|tag| !tag.is_empty()) => {
                self.scalar(properties, String::new(), true)
            }
            _ => return fail(mark, "did not find expected node content"),
        };
        self.depth -= 1;
        Ok(id)
    }

    fn sequence(
        &mut self,
        properties: Properties,
        items: impl FnOnce(&mut Self, Mark) -> Result<Vec<Id>, Malformed>,
    ) -> Result<Id, Malformed> {
        let id = self.collection(properties, "!!seq", Content::Sequence(Vec::new()));
        let (_, mark) = self.scanner.take()?;
        self.document.nodes[id].content = Content::Sequence(items(self, mark)?);
        Ok(id)
    }

    fn mapping(
        &mut self,
        properties: Properties,
        items: impl FnOnce(&mut Self, Mark) -> Result<Vec<(Id, Id)>, Malformed>,
    ) -> Result<Id, Malformed> {
        let id = self.collection(properties, "!!map", Content::Mapping(Vec::new()));
        let (_, mark) = self.scanner.take()?;
        self.document.nodes[id].content = Content::Mapping(items(self, mark)?);
        Ok(id)
    }

    /// A node of the block context, which is empty before one of `ends`.
    fn block_or_empty(&mut self, ends: &[Token], indentless: bool) -> Result<Id, Malformed> {
        let mark = self.peek()?.1;
        if self.next_is(ends)? { Ok(self.empty(mark)) } else { self.node(true, indentless) }
    }

    fn block_sequence(&mut self, start: Mark) -> Result<Vec<Id>, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.scanner.take()? {
                (Token::BlockEntry, _) => items.push(self.block_or_empty(&[Token::BlockEntry, Token::BlockEnd], false)?),
                (Token::BlockEnd, _) => return Ok(items),
                (_, mark) => return fail(later(start, mark), "did not find expected '-' indicator"),
            }
        }
    }

    fn indentless_sequence(&mut self) -> Result<Vec<Id>, Malformed> {
        let mut items = Vec::new();
        while self.next_is(&[Token::BlockEntry])? {
            self.scanner.take()?;
            let ends = [Token::BlockEntry, Token::Key, Token::Value, Token::BlockEnd];
            items.push(self.block_or_empty(&ends, false)?);
        }
        Ok(items)
    }

    fn block_mapping(&mut self, start: Mark) -> Result<Vec<(Id, Id)>, Malformed> {
        let ends = [Token::Key, Token::Value, Token::BlockEnd];
        let mut items = Vec::new();
        loop {
            match self.scanner.take()? {
                (Token::Key, _) => {
                    let key = self.block_or_empty(&ends, true)?;
                    let (token, mark) = self.peek()?;
                    let value = if token == Token::Value {
                        self.scanner.take()?;
                        self.block_or_empty(&ends, true)?
                    } else {
                        self.empty(mark)
                    };
                    items.push((key, value));
                }
                (Token::BlockEnd, _) => return Ok(items),
                (_, mark) => return fail(later(start, mark), "did not find expected key"),
            }
        }
    }

    fn flow_sequence(&mut self, start: Mark) -> Result<Vec<Id>, Malformed> {
        let ends = [Token::FlowEntry, Token::FlowSequenceEnd];
        let mut items = Vec::new();
        loop {
            if self.next_is(&[Token::FlowSequenceEnd])? {
                break;
            }
            if !items.is_empty() {
                let (token, mark) = self.peek()?;
                if token != Token::FlowEntry {
                    return fail(later(start, mark), "did not find expected ',' or ']'");
                }
                self.scanner.take()?;
            }
            match self.peek()? {
                (Token::Key, mark) => {
                    self.scanner.take()?;
                    let pair = self.flow_sequence_pair(&ends, mark)?;
                    let properties = Properties { start: mark, ..Properties::default() };
                    items.push(self.collection(properties, "!!map", Content::Mapping(vec![pair])));
                }
                (Token::FlowSequenceEnd, _) => break,
                _ => items.push(self.node(false, false)?),
            }
        }
        self.scanner.take()?;
        Ok(items)
    }

    /// `key: value` as an entry of a flow sequence.
    fn flow_sequence_pair(&mut self, ends: &[Token], mark: Mark) -> Result<(Id, Id), Malformed> {
        let key = match self.peek()? {
            (Token::Value, mark) => {
                // The library takes the `:` for the empty key, so that no value follows it.
                self.scanner.take()?;
                self.empty(mark)
            }
            (token, mark) if ends.contains(&token) => {
                self.scanner.take()?;
                self.empty(mark)
            }
            _ => self.node(false, false)?,
        };
        if self.next_is(&[Token::Value])? {
            self.scanner.take()?;
            if !self.next_is(ends)? {
                return Ok((key, self.node(false, false)?));
            }
        }
        Ok((key, self.empty(mark)))
    }

    fn flow_mapping(&mut self, start: Mark) -> Result<Vec<(Id, Id)>, Malformed> {
        let mut items = Vec::new();
        loop {
            if self.next_is(&[Token::FlowMappingEnd])? {
                break;
            }
            if !items.is_empty() {
                let (token, mark) = self.peek()?;
                if token != Token::FlowEntry {
                    return fail(later(start, mark), "did not find expected ',' or '}'");
                }
                self.scanner.take()?;
            }
            match self.peek()? {
                (Token::Key, _) => {
                    self.scanner.take()?;
                    let mark = self.peek()?.1;
                    let key = match self.next_is(&[Token::Value, Token::FlowEntry, Token::FlowMappingEnd])? {
                        true => self.empty(mark),
                        false => self.node(false, false)?,
                    };
                    let mut value = None;
                    if self.next_is(&[Token::Value])? {
                        self.scanner.take()?;
                        if !self.next_is(&[Token::FlowEntry, Token::FlowMappingEnd])? {
                            value = Some(self.node(false, false)?);
                        }
                    }
                    let value = value.unwrap_or_else(|| self.empty(mark));
                    items.push((key, value));
                }
                (Token::FlowMappingEnd, _) => break,
                (_, mark) => {
                    let key = self.node(false, false)?;
                    let value = self.empty(mark);
                    items.push((key, value));
                }
            }
        }
        self.scanner.take()?;
        Ok(items)
    }
}

fn fail<T>(at: Mark, problem: &str) -> Result<T, Malformed> {
    Err(Malformed::new(at, problem))
}

/// The place of a problem within a collection.
fn later(start: Mark, at: Mark) -> Mark {
    if at.index < start.index { start } else { at }
}

/// A tag in its short form, as `!!int`.
fn short(tag: &str) -> String {
    tag.strip_prefix(LONG).map_or_else(|| tag.to_owned(), |rest| format!("!!{rest}"))
}
