//! Which labels Traefik knows, and which values they take.

use super::{LabelError, Node};

/// What a node may be.
pub(super) enum Kind {
    /// A text, or a list of texts.
    Text,
    /// A boolean as Go reads it.
    Flag,
    /// A whole number.
    Number,
    /// A part that is not looked into.
    Opaque,
    /// Nodes with these names; at least one is there.
    Fields(&'static [(&'static str, Kind)]),
    /// The same, where none need be there.
    Switch(&'static [(&'static str, Kind)]),
    /// Nodes of any name, each with these fields.
    Map(&'static [(&'static str, Kind)]),
}

use Kind::{Fields, Flag, Map, Number, Opaque, Switch, Text};

pub(super) const PROVIDER: [(&str, Kind); 2] = [("enable", Flag), ("docker", Fields(&[("network", Text), ("lbswarm", Flag)]))];

pub(super) const CONFIGURATION: [(&str, Kind); 4] = [
    (
        "http",
        Fields(&[
            ("routers", Map(&ROUTER)),
            ("services", Map(&SERVICE)),
            ("middlewares", Map(&MIDDLEWARE)),
            ("models", Opaque),
            ("serverstransports", Opaque),
        ]),
    ),
    ("tcp", Opaque),
    ("udp", Opaque),
    ("tls", Opaque),
];

/// `observability` is of a later version than the others.
const ROUTER: [(&str, Kind); 8] = [
    ("entrypoints", Text),
    ("middlewares", Text),
    ("service", Text),
    ("rule", Text),
    ("rulesyntax", Text),
    ("priority", Number),
    ("tls", Switch(&[("options", Text), ("certresolver", Text), ("domains", Opaque)])),
    ("observability", Opaque),
];

const SERVICE: [(&str, Kind); 4] = [
    (
        "loadbalancer",
        Fields(&[
            ("sticky", Opaque),
            ("server", Fields(&[("port", Text), ("scheme", Text), ("weight", Number), ("url", Opaque)])),
            ("healthcheck", Opaque),
            ("passhostheader", Flag),
            ("responseforwarding", Opaque),
            ("serverstransport", Text),
        ]),
    ),
    ("weighted", Opaque),
    ("mirroring", Opaque),
    ("failover", Opaque),
];

const MIDDLEWARE: [(&str, Kind); 26] = [
    ("addprefix", Fields(&[("prefix", Text)])),
    ("stripprefix", Fields(&[("prefixes", Text), ("forceslash", Flag)])),
    ("stripprefixregex", Fields(&[("regex", Text)])),
    ("replacepath", Fields(&[("path", Text)])),
    ("replacepathregex", Fields(&[("regex", Text), ("replacement", Text)])),
    ("chain", Fields(&[("middlewares", Text)])),
    ("ipwhitelist", Opaque),
    ("ipallowlist", Opaque),
    ("headers", Opaque),
    ("errors", Opaque),
    ("ratelimit", Opaque),
    ("redirectregex", Fields(&[("regex", Text), ("replacement", Text), ("permanent", Flag)])),
    ("redirectscheme", Fields(&[("scheme", Text), ("port", Text), ("permanent", Flag)])),
    ("basicauth", Opaque),
    ("digestauth", Opaque),
    ("forwardauth", Opaque),
    ("inflightreq", Opaque),
    ("buffering", Opaque),
    ("circuitbreaker", Opaque),
    ("compress", Opaque),
    ("passtlsclientcert", Opaque),
    ("retry", Opaque),
    ("contenttype", Opaque),
    ("grpcweb", Opaque),
    ("plugin", Opaque),
    ("requestheadermodifier", Opaque),
];

/// Checks the children of a node against the fields that it may have.
pub(super) fn check_fields(node: &Node, fields: &[(&str, Kind)]) -> Result<(), LabelError> {
    for child in &node.children {
        let field = fields.iter().find(|(name, _)| child.name.eq_ignore_ascii_case(name));
        let (_, kind) = field.ok_or_else(|| LabelError::Label(format!("Traefik does not know the label part {}", child.name)))?;
        check(child, kind)?;
    }
    Ok(())
}

fn check(node: &Node, kind: &Kind) -> Result<(), LabelError> {
    let error = |what: &str| Err(LabelError::Label(format!("the value {:?} of the label part {} {what}", node.value, node.name)));
    match kind {
        Opaque => Ok(()),
        Text | Flag | Number if !node.children.is_empty() => error("has parts below it"),
        Text => Ok(()),
        Flag => {
            if flag(&node.value).is_some() {
                Ok(())
            } else {
                error("is neither true nor false")
            }
        }
        Number => {
            if is_number(&node.value) {
                Ok(())
            } else {
                error("is no whole number")
            }
        }
        Fields(_) | Map(_) if node.children.is_empty() => error("stands for nothing by itself"),
        Fields(fields) | Switch(fields) => check_fields(node, fields),
        Map(fields) => node.children.iter().try_for_each(|child| check_fields(child, fields)),
    }
}

/// A boolean as Go reads it.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A number as Go reads it: digits with a sign.
fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}
