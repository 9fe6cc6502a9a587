//! One answer over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpView {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case. The values of a header that occurs several times are lines.
    pub headers: BTreeMap<String, String>,
    /// The first 64 KiB of the body, as text.
    pub body: String,
}

impl HttpView {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}
