//! Pages that are not the app's although they come with a good status: default pages of web servers, and error pages.
//!
//! The set is small and closed. Each signature is a text that no page of an app has by chance.

use crate::model::http::HttpView;

/// A page that says nothing good of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignPage {
    /// The page that a web server brings along.
    Default {
        /// The server.
        server: &'static str,
    },
    /// A page that reports an error.
    Error {
        /// What it says.
        says: String,
    },
}

/// Texts of default pages, all of which the page has.
const DEFAULT_PAGES: [(&str, &[&str]); 9] = [
    ("nginx", &["<title>Welcome to nginx!</title>", "nginx web server is successfully installed"]),
    ("nginx", &["<title>Welcome to nginx!</title>", "nginx is successfully installed and working"]),
    ("nginx", &["<title>Welcome to nginx!</title>", "Further configuration is required"]),
    ("OpenResty", &["<title>Welcome to OpenResty!</title>", "OpenResty web platform is successfully installed"]),
    ("Apache", &["Apache2 ", "Default Page", "It works"]),
    ("Apache", &["<title>Test Page for the Apache HTTP Server"]),
    ("Caddy", &["<title>Caddy works!</title>"]),
    ("Tomcat", &["<title>Apache Tomcat/", "successfully installed Tomcat"]),
    ("lighttpd", &["<title>Welcome page</title>", "lighttpd"]),
];

/// Whole bodies that are the default page of Apache's own image.
const APACHE_BODIES: [&str; 2] = ["<html><body><h1>It works!</h1></body></html>", "It works!"];

/// The reasons of error statuses, which web servers use as the title of their error pages.
const REASONS: [(&str, &[&str]); 10] = [
    ("400", &["Bad Request"]),
    ("401", &["Unauthorized", "Authorization Required"]),
    ("403", &["Forbidden"]),
    ("404", &["Not Found", "page not found"]),
    ("413", &["Request Entity Too Large", "Payload Too Large"]),
    ("500", &["Internal Server Error"]),
    ("501", &["Not Implemented"]),
    ("502", &["Bad Gateway"]),
    ("503", &["Service Unavailable", "Service Temporarily Unavailable"]),
    ("504", &["Gateway Timeout", "Gateway Time-out"]),
];

/// Whether an answer that looks good is a page of something else, or an error.
pub fn foreign_page(view: &HttpView) -> Option<ForeignPage> {
    let body = view.body.trim();
    let default = DEFAULT_PAGES.iter().find(|(_, texts)| texts.iter().all(|text| body.contains(text)));
    if let Some((server, _)) = default {
        return Some(ForeignPage::Default { server });
    }
    let compact: String = body.split_whitespace().collect::<Vec<_>>().join(" ").replace("> <", "><");
    if APACHE_BODIES.contains(&compact.as_str()) {
        return Some(ForeignPage::Default { server: "Apache" });
    }
    error_text(body).map(|says| ForeignPage::Error { says })
}

/// The error that a page reports, whatever its status is.
fn error_text(body: &str) -> Option<String> {
    if let Some(title) = title(body).filter(|title| is_reason(title)) {
        return Some(format!("its title is {title:?}"));
    }
    if is_reason(body) {
        return Some(format!("it is {body:?} alone"));
    }
    let first = body.lines().next().unwrap_or_default();
    let php = ["Fatal error", "Parse error"].into_iter().find(|kind| {
        body.contains(&format!("<b>{kind}</b>:")) && body.contains(" on line <b>") || first.starts_with(&format!("PHP {kind}:"))
    });
    if let Some(kind) = php {
        return Some(format!("PHP reports a {}", kind.to_lowercase()));
    }
    if body.starts_with("Traceback (most recent call last):") {
        return Some("it is a traceback of Python".into());
    }
    title(body)
        .filter(|title| title.trim_end_matches(['.', '!']) == "Error establishing a database connection")
        .map(|title| format!("its title is {title:?}"))
}

/// Whether a text is a status with its reason, or the reason of a server's error alone.
fn is_reason(text: &str) -> bool {
    let text = text.trim();
    REASONS.iter().any(|(status, reasons)| {
        reasons.iter().any(|reason| {
            let with_status = text.strip_prefix(status).map(|rest| rest.trim_start_matches([' ', ':', '-', '–', '|']).trim());
            with_status.is_some_and(|rest| rest.eq_ignore_ascii_case(reason))
                || status.starts_with('5') && text.eq_ignore_ascii_case(reason)
        })
    })
}

/// The title of a page of HTML.
pub fn title(body: &str) -> Option<&str> {
    let lower = body.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    Some(body[start..end].trim())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn page(body: &str) -> Option<ForeignPage> {
        foreign_page(&HttpView { status: 200, headers: BTreeMap::new(), body: body.into() })
    }

    #[test]
    fn default_page_of_a_server_is_distinguished_from_an_apps_page() {
        for (body, server) in [
            (
                "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1>\n<p>If you see \
                 this page, the nginx web server is successfully installed and working.",
                "nginx",
            ),
            ("<html><body><h1>It works!</h1></body></html>\n", "Apache"),
            ("<html>\n  <body>\n <h1>It works!</h1> </body>\n</html>", "Apache"),
            ("<title>Apache2 Debian Default Page: It works</title>", "Apache"),
            ("<title>Caddy works!</title>", "Caddy"),
            ("<title>Apache Tomcat/10.1</title><h2>If you're seeing this, you've successfully installed Tomcat.", "Tomcat"),
            ("<title>My nginx notes</title> Welcome to nginx!", ""),
            ("<title>It works!</title><p>my app", ""),
            ("hello", ""),
        ] {
            let wanted = (!server.is_empty()).then_some(server);
            let found = match page(body) {
                Some(ForeignPage::Default { server }) => Some(server),
                _ => None,
            };
            assert_eq!(found, wanted, "{body}");
        }
    }

    #[test]
    fn error_page_with_a_good_status_is_recognised_by_few_texts() {
        for (body, is_error) in [
            ("<html><head><title>502 Bad Gateway</title></head>", true),
            ("<TITLE> 503 Service Temporarily Unavailable </TITLE>", true),
            ("<title>404 - Not Found</title>", true),
            ("<title>500</title>", false),
            ("<title>Internal Server Error</title>", true),
            ("Internal Server Error", true),
            ("Bad Gateway\n", true),
            ("404 page not found\n", true),
            ("Not Found", false),
            ("<br />\n<b>Fatal error</b>:  Uncaught Error in /var/www/a.php on line <b>3</b>", true),
            ("PHP Parse error: syntax error", true),
            ("Traceback (most recent call last):\n  File", true),
            ("<title>Error establishing a database connection</title>", true),
            ("<title>How we fixed 502 Bad Gateway</title>", false),
            ("<p>We had an Internal Server Error yesterday.", false),
            ("<title>Forbidden fruit</title>", false),
            ("{\"error\":null}", false),
            ("", false),
        ] {
            assert_eq!(matches!(page(body), Some(ForeignPage::Error { .. })), is_error, "{body}");
        }
    }
}
