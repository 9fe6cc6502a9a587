//! The middlewares of a Traefik router as handlers of Caddy. Pure.

use formats::traefik::labels::Node;
use serde_json::{Map, Value, json};

use super::matcher::quoted;

/// The headers that Traefik's security options set, by option: the header, and the value; empty for the option's own value.
const SECURITY: [(&str, &str, &str); 8] = [
    ("framedeny", "X-Frame-Options", "DENY"),
    ("customframeoptionsvalue", "X-Frame-Options", ""),
    ("contenttypenosniff", "X-Content-Type-Options", "nosniff"),
    ("browserxssfilter", "X-XSS-Protection", "1; mode=block"),
    ("custombrowserxssvalue", "X-XSS-Protection", ""),
    ("contentsecuritypolicy", "Content-Security-Policy", ""),
    ("referrerpolicy", "Referrer-Policy", ""),
    ("permissionspolicy", "Permissions-Policy", ""),
];
/// Options of `headers` without effect on a request over TLS to the app's own host.
const WITHOUT_EFFECT: [&str; 9] = [
    "sslredirect",
    "ssltemporaryredirect",
    "sslforcehost",
    "sslhost",
    "sslproxyheaders",
    "hostsproxyheaders",
    "isdevelopment",
    "addvaryheader",
    "forcestsheader",
];
/// Middlewares that change no answer to a single client: they only compress, buffer or try again.
const TRANSPARENT: [&str; 4] = ["compress", "buffering", "contenttype", "retry"];

/// The handlers for one middleware, in their order. Each part that is left out is added to `without`.
pub(super) fn handlers(name: &str, middleware: &Node, without: &mut Vec<String>) -> Vec<Value> {
    middleware.children.iter().flat_map(|kind| of_kind(name, kind, without)).collect()
}

fn of_kind(name: &str, kind: &Node, without: &mut Vec<String>) -> Vec<Value> {
    let lower = kind.name.to_ascii_lowercase();
    match lower.as_str() {
        kind if TRANSPARENT.contains(&kind) => Vec::new(),
        // All of the ingress's sites are HTTPS.
        "redirectscheme" if kind.text(&["scheme"]) == "https" => Vec::new(),
        "stripprefix" => {
            let prefixes: Vec<String> = kind.list(&["prefixes"]).iter().map(|prefix| quoted(prefix)).collect();
            let find = format!("^(?:{})/?", prefixes.join("|"));
            vec![json!({ "handler": "rewrite", "path_regexp": [{ "find": find, "replace": "/" }] })]
        }
        "addprefix" if !kind.text(&["prefix"]).contains('{') => {
            vec![json!({ "handler": "rewrite", "uri": format!("{}{{http.request.uri}}", kind.text(&["prefix"])) })]
        }
        "headers" => headers(name, kind, without),
        _ => {
            without.push(format!("the middleware {name} ({})", kind.name));
            Vec::new()
        }
    }
}

fn headers(name: &str, options: &Node, without: &mut Vec<String>) -> Vec<Value> {
    let (mut request, mut response) = (Changes::default(), Changes::default());
    let mut hsts = Vec::new();
    for option in &options.children {
        let lower = option.name.to_ascii_lowercase();
        let is_on = option.value.eq_ignore_ascii_case("true") || option.value == "1";
        match lower.as_str() {
            "customrequestheaders" => request.take(&option.children),
            "customresponseheaders" => response.take(&option.children),
            "stsseconds" if option.value != "0" => hsts.insert(0, format!("max-age={}", option.value)),
            "stsincludesubdomains" if is_on => hsts.push("includeSubDomains".to_owned()),
            "stspreload" if is_on => hsts.push("preload".to_owned()),
            "stsseconds" | "stsincludesubdomains" | "stspreload" => {}
            option if WITHOUT_EFFECT.contains(&option) => {}
            lower => match SECURITY.iter().find(|(known, ..)| *known == lower) {
                Some((_, header, "")) => response.set(header, &option.value),
                Some((_, header, value)) if is_on => response.set(header, value),
                Some(_) => {}
                None => without.push(format!("the option {} of the middleware {name}", option.name)),
            },
        }
    }
    if hsts.first().is_some_and(|first| first.starts_with("max-age")) {
        response.set("Strict-Transport-Security", &hsts.join("; "));
    }
    if request.has_placeholders || response.has_placeholders {
        without.push(format!("a header with braces of the middleware {name}"));
    }
    let mut handler = Map::from_iter([("handler".to_owned(), json!("headers"))]);
    if !request.is_empty() {
        handler.insert("request".into(), request.json());
    }
    if !response.is_empty() {
        let mut changes = response.json();
        // Only then is the app's own header replaced.
        changes["deferred"] = json!(true);
        handler.insert("response".into(), changes);
    }
    if handler.len() > 1 { vec![Value::Object(handler)] } else { Vec::new() }
}

/// Headers that are set and deleted.
#[derive(Default)]
struct Changes {
    set: Map<String, Value>,
    delete: Vec<String>,
    /// Whether a value was left out because Caddy would fill it in.
    has_placeholders: bool,
}

impl Changes {
    fn take(&mut self, headers: &[Node]) {
        for header in headers {
            match header.value.as_str() {
                "" => self.delete.push(header.name.clone()),
                value => self.set(&header.name, value),
            }
        }
    }

    fn set(&mut self, header: &str, value: &str) {
        if value.contains('{') {
            self.has_placeholders = true;
        } else {
            self.set.insert(header.to_owned(), json!([value]));
        }
    }

    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    fn json(&self) -> Value {
        json!({ "set": self.set, "delete": self.delete })
    }
}
