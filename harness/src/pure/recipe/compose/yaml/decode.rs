//! Values of a document's nodes as the decoder of Docker's YAML library (`decode.go`) makes them for `any`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Node, Value,
    parse::{Content, DEPTH, Document, Id, MERGE, STR},
    scalar,
    scan::{Malformed, Mark},
};
use crate::pure::recipe::compose::error::Position;

struct Decoder<'a> {
    document: &'a Document,
    place: &'a dyn Fn(Mark) -> Position,
    /// The aliases that are being followed.
    followed: BTreeSet<Id>,
    depth: usize,
    decoded: u32,
    decoded_in_aliases: u32,
    /// The keys that were already found, while merge keys are followed.
    merged: Option<BTreeSet<String>>,
}

type Map = BTreeMap<String, Node>;

pub(super) fn decode(document: &Document, root: Id, place: &dyn Fn(Mark) -> Position) -> Result<Node, Malformed> {
    let mut decoder =
        Decoder { document, place, followed: BTreeSet::new(), depth: 0, decoded: 0, decoded_in_aliases: 0, merged: None };
    decoder.node(root)
}

impl Decoder<'_> {
    fn fail<T>(&self, id: Id, problem: impl Into<String>) -> Result<T, Malformed> {
        Err(Malformed::new(self.document.nodes[id].at, problem))
    }

    fn unclear<T>(&self, id: Id, problem: impl Into<String>) -> Result<T, Malformed> {
        Err(Malformed::unclear(self.document.nodes[id].at, problem))
    }

    /// Counts a decoded node. A file mostly of aliases is a bomb.
    fn count(&mut self, id: Id) -> Result<(), Malformed> {
        self.decoded += 1;
        self.decoded_in_aliases += u32::from(!self.followed.is_empty());
        let (all, aliased) = (f64::from(self.decoded), f64::from(self.decoded_in_aliases));
        let allowed = match all {
            all if all <= 400_000.0 => 0.99,
            all if all >= 4_000_000.0 => 0.10,
            all => 0.99 - 0.89 * ((all - 400_000.0) / 3_600_000.0),
        };
        match aliased > 100.0 && all > 1000.0 && aliased / all > allowed {
            true => self.fail(id, "document contains excessive aliasing"),
            false => Ok(()),
        }
    }

    fn node(&mut self, id: Id) -> Result<Node, Malformed> {
        self.count(id)?;
        if self.depth > DEPTH {
            return self.unclear(id, format!("nested deeper than {DEPTH} levels"));
        }
        self.depth += 1;
        let node = self.decoded(id);
        self.depth -= 1;
        node
    }

    fn decoded(&mut self, id: Id) -> Result<Node, Malformed> {
        let parsed = &self.document.nodes[id];
        let value = match &parsed.content {
            Content::Alias { name, target } => return self.within_alias(id, name, |decoder| decoder.node(*target)),
            Content::Scalar(text) => self.scalar(id, text)?,
            Content::Sequence(items) => Value::List(items.iter().map(|item| self.node(*item)).collect::<Result<_, _>>()?),
            Content::Mapping(_) => {
                let mut map = Map::new();
                self.mapping(id, &mut map, false)?;
                Value::Map(map)
            }
        };
        Ok(Node { at: (self.place)(parsed.at), value })
    }

    fn within_alias<T>(
        &mut self,
        id: Id,
        name: &str,
        decode: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        if !self.followed.insert(id) {
            return self.fail(id, format!("anchor '{name}' value contains itself"));
        }
        let decoded = decode(self);
        self.followed.remove(&id);
        decoded
    }

    fn scalar(&self, id: Id, text: &str) -> Result<Value, Malformed> {
        let tag = self.document.nodes[id].tag.as_str();
        if tag == "!!binary" {
            // Go skips line ends, and takes any bits behind the last octet.
            let mut base64 = data_encoding::BASE64.specification();
            base64.check_trailing_bits = false;
            let encoded = text.replace(['\r', '\n'], "");
            let bytes = base64.encoding().ok().and_then(|base64| base64.decode(encoded.as_bytes()).ok());
            let Some(bytes) = bytes else { return self.fail(id, "!!binary value contains invalid base64 data") };
            return String::from_utf8(bytes).map(Value::Text).or_else(|_| self.unclear(id, "!!binary value is no text in UTF-8"));
        }
        match scalar::resolve(tag, text) {
            Err(found) => self.fail(id, format!("cannot decode {found} `{text}` as a {tag}")),
            Ok(Value::Date(date)) if !date.ends_with('Z') => self.unclear(
                id,
                format!("`{text}` is a time whose value depends on the time zone of the machine; write it in quotes"),
            ),
            Ok(value) => Ok(value),
        }
    }

    /// Adds the pairs of a mapping to `out`. `merging` is set for the value of a merge key.
    fn mapping(&mut self, id: Id, out: &mut Map, merging: bool) -> Result<(), Malformed> {
        let Content::Mapping(pairs) = &self.document.nodes[id].content else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for (key, _) in pairs {
            // Keys are compared as they are written: an alias by its name, collections not at all.
            let written = match &self.document.nodes[*key].content {
                Content::Scalar(text) => (0, text.as_str()),
                Content::Alias { name, .. } => (1, name.as_str()),
                Content::Sequence(_) => (2, ""),
                Content::Mapping(_) => (3, ""),
            };
            if !seen.insert(written) {
                return self.fail(*key, format!("mapping key {:?} is already defined", written.1));
            }
        }
        let no_text = pairs.iter().find(|(key, _)| !matches!(self.document.tag(*key), STR | MERGE));
        if let Some((key, _)) = no_text.filter(|_| !merging) {
            return self.fail(*key, "a key that is not a text");
        }
        let mut merged = self.merged.take();
        let mut merge = None;
        for (key, value) in pairs {
            if self.is_merge(*key) {
                merge = Some(*value);
                continue;
            }
            let Some(key) = self.key(*key)? else { continue };
            if merged.as_mut().is_some_and(|merged| !merged.insert(key.clone())) {
                continue;
            }
            let value = self.node(*value)?;
            out.insert(key, value);
        }
        self.merged = merged;
        match merge {
            Some(merge) => self.merge(id, merge, out),
            None => Ok(()),
        }
    }

    /// A key as text; absent for a null in a mapping that is merged.
    fn key(&mut self, id: Id) -> Result<Option<String>, Malformed> {
        self.count(id)?;
        match &self.document.nodes[id].content {
            Content::Alias { name, target } => self.within_alias(id, name, |decoder| decoder.key(*target)),
            Content::Scalar(text) => match self.scalar(id, text)? {
                Value::Null => Ok(None),
                Value::Text(text) => Ok(Some(text)),
                _ => Ok(Some(text.clone())),
            },
            Content::Sequence(_) | Content::Mapping(_) => self.fail(id, "a key that is not a text"),
        }
    }

    fn is_merge(&self, id: Id) -> bool {
        let node = &self.document.nodes[id];
        matches!(&node.content, Content::Scalar(text) if text == "<<") && node.tag == MERGE
    }

    /// Adds the mappings of a merge key, of which the first with a key wins.
    fn merge(&mut self, parent: Id, merge: Id, out: &mut Map) -> Result<(), Malformed> {
        let outermost = self.merged.is_none();
        if outermost {
            let Content::Mapping(pairs) = &self.document.nodes[parent].content else { return Ok(()) };
            let mut own = BTreeSet::new();
            for (key, _) in pairs {
                own.extend(self.key(*key)?);
            }
            self.merged = Some(own);
        }
        match &self.document.nodes[merge].content {
            Content::Sequence(items) => {
                for item in items {
                    self.merge_one(*item, out)?;
                }
            }
            _ => self.merge_one(merge, out)?,
        }
        if outermost {
            self.merged = None;
        }
        Ok(())
    }

    fn merge_one(&mut self, id: Id, out: &mut Map) -> Result<(), Malformed> {
        let is_mapping = |id: Id| matches!(self.document.nodes[id].content, Content::Mapping(_));
        match &self.document.nodes[id].content {
            Content::Alias { name, target } if is_mapping(*target) => {
                self.count(id)?;
                self.within_alias(id, name, |decoder| {
                    decoder.count(*target)?;
                    decoder.mapping(*target, out, true)
                })
            }
            Content::Mapping(_) => {
                self.count(id)?;
                self.mapping(id, out, true)
            }
            _ => self.fail(id, "map merge requires map or sequence of maps as the value"),
        }
    }
}
