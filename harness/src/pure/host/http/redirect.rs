//! Where an answer leads to.

use std::collections::BTreeMap;

use crate::model::http::HttpView;

/// The most redirects that are followed, as browsers do.
pub const MOST: usize = 20;

/// A web address, as far as redirects need it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Whether it is for TLS.
    pub secure: bool,
    /// The host in lower case, and the port if one is named.
    pub authority: String,
    /// The path with the query.
    pub path: String,
}

impl Address {
    /// Reads a whole address of HTTP.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest[..end].rsplit('@').next()?.to_ascii_lowercase();
        let path = rest[end..].split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!authority.is_empty()).then_some(Self { secure, authority, path })
    }

    /// The host without a port.
    pub fn host(&self) -> &str {
        self.authority.split(':').next().unwrap_or_default()
    }

    /// The address that a `Location` names from here; `None` when it names none of HTTP.
    pub fn join(&self, location: &str) -> Option<Self> {
        let location = location.trim().split('#').next().unwrap_or_default();
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", if self.secure { "https" } else { "http" }));
        }
        let scheme = location.find(':').filter(|colon| {
            let before = &location[..*colon];
            !before.is_empty() && before.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        if scheme.is_some() {
            return Self::parse(location);
        }
        let own = self.path.split('?').next().unwrap_or_default();
        let path = match location.chars().next() {
            None => self.path.clone(),
            Some('/') => location.to_owned(),
            Some('?') => format!("{own}{location}"),
            Some(_) => format!("{}/{location}", own.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        Some(Self { path: without_dots(&path), ..self.clone() })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", if self.secure { "https" } else { "http" }, self.authority, self.path)
    }
}

/// The path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        parts.push("");
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{}{query}", parts.join("/"))
}

/// Where a chain of redirects goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The answer is no redirect.
    Here,
    /// It goes on at this address of the zone.
    Follow(Address),
    /// It leads out of the zone.
    Leaves(Address),
    /// It leads back to an address of the chain, with nothing new in it.
    Loop(Address),
    /// The chain has as many redirects as are followed.
    TooLong,
    /// The redirect names no address.
    Nowhere,
}

/// The value of each cookie by host and name.
pub type Cookies = BTreeMap<(String, String), String>;

/// The addresses that were asked, in their order, and the cookies that the app set on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The addresses. The last one is asked next.
    pub addresses: Vec<Address>,
    /// The cookies by host and name.
    pub cookies: Cookies,
    /// What was asked, with the cookies at that time.
    asked: Vec<(Address, Cookies)>,
}

impl Chain {
    /// A chain that begins at an address.
    pub fn at(address: Address) -> Self {
        Self { addresses: vec![address], cookies: Cookies::new(), asked: Vec::new() }
    }

    /// The address that is asked next.
    pub fn last(&self) -> &Address {
        // A chain has its first address from the start.
        &self.addresses[self.addresses.len() - 1]
    }

    /// The value of the header `Cookie` for the next request; empty without a cookie.
    pub fn cookie_header(&self) -> String {
        let own = self.cookies.iter().filter(|((host, _), _)| host == self.last().host());
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Takes the answer to the last request, and says where it leads. `zone` is the host's zone.
    pub fn take(&mut self, view: &HttpView, zone: &str) -> Next {
        let here = self.last().clone();
        self.asked.push((here.clone(), self.cookies.clone()));
        for line in view.header("set-cookie").unwrap_or_default().lines() {
            if let Some((name, value)) = line.split(';').next().unwrap_or_default().split_once('=') {
                self.cookies.insert((here.host().to_owned(), name.trim().to_owned()), value.trim().to_owned());
            }
        }
        if !matches!(view.status, 301 | 302 | 303 | 307 | 308) {
            return Next::Here;
        }
        let Some(target) = view.header("location").and_then(|location| here.join(location)) else { return Next::Nowhere };
        let in_zone = target.host() == zone || target.host().ends_with(&format!(".{zone}"));
        if !in_zone {
            return Next::Leaves(target);
        }
        if self.asked.contains(&(target.clone(), self.cookies.clone())) {
            self.addresses.push(target.clone());
            return Next::Loop(target);
        }
        if self.asked.len() > MOST {
            return Next::TooLong;
        }
        self.addresses.push(target.clone());
        Next::Follow(target)
    }

    /// The chain in one line: the first address, and of the others what differs from the one before.
    pub fn sentence(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut before: Option<&Address> = None;
        for address in &self.addresses {
            let same = before.is_some_and(|before| before.secure == address.secure && before.authority == address.authority);
            parts.push(if same { address.path.clone() } else { address.to_string() });
            before = Some(address);
        }
        if parts.len() > 6 {
            let left = parts.len() - 5;
            parts.splice(3..parts.len() - 2, [format!("({left} more)")]);
        }
        parts.join(" → ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn redirect(status: u16, location: &str, cookie: &str) -> HttpView {
        let headers = [("location", location), ("set-cookie", cookie)];
        let headers = headers.iter().filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpView { status, headers, body: String::new() }
    }

    #[test]
    fn location_is_read_from_where_it_is() {
        for (from, location, to) in [
            ("https://a.test/x/y?q=1", "/z", "https://a.test/z"),
            ("https://a.test/x/y?q=1", "z?b", "https://a.test/x/z?b"),
            ("https://a.test/x/y?q=1", "?b", "https://a.test/x/y?b"),
            ("https://a.test/x/y", "../z", "https://a.test/z"),
            ("https://a.test/x/y", "//B.test/z", "https://b.test/z"),
            ("https://a.test/x", "http://a.test:81", "http://a.test:81/"),
            ("https://a.test", "https://u@a.test/#top", "https://a.test/"),
            ("https://a.test/x", "", "https://a.test/x"),
        ] {
            assert_eq!(address(from).join(location).unwrap().to_string(), to, "{from} {location}");
        }
        assert_eq!(address("https://a.test/").join("mailto:a@b"), None);
        assert_eq!(address("https://a.test/").join("javascript:1"), None);
    }

    #[test]
    fn chain_ends_where_an_answer_is_no_redirect() {
        let mut chain = Chain::at(address("https://a.z.test/"));
        assert_eq!(chain.take(&redirect(302, "/login", ""), "z.test"), Next::Follow(address("https://a.z.test/login")));
        assert_eq!(chain.take(&redirect(200, "", ""), "z.test"), Next::Here);
        assert_eq!(chain.sentence(), "https://a.z.test/ → /login");
    }

    #[test]
    fn redirect_to_itself_is_a_loop_unless_a_cookie_is_new() {
        let mut chain = Chain::at(address("https://a.z.test/"));
        assert_eq!(chain.take(&redirect(301, "https://a.z.test/", ""), "z.test"), Next::Loop(address("https://a.z.test/")));
        assert_eq!(chain.sentence(), "https://a.z.test/ → /");

        let mut chain = Chain::at(address("https://a.z.test/"));
        let back = redirect(302, "/", "seen=1; Path=/\nb=2");
        assert_eq!(chain.take(&back, "z.test"), Next::Follow(address("https://a.z.test/")));
        assert_eq!(chain.cookie_header(), "b=2; seen=1");
        assert_eq!(chain.take(&back, "z.test"), Next::Loop(address("https://a.z.test/")));
    }

    #[test]
    fn loop_over_plain_http_is_found_and_shown_whole() {
        let mut chain = Chain::at(address("https://a.z.test/"));
        let answers = [redirect(301, "http://a.z.test/", ""), redirect(308, "https://a.z.test/", "")];
        assert_eq!(chain.take(&answers[0], "z.test"), Next::Follow(address("http://a.z.test/")));
        assert_eq!(chain.take(&answers[1], "z.test"), Next::Loop(address("https://a.z.test/")));
        assert_eq!(chain.sentence(), "https://a.z.test/ → http://a.z.test/ → https://a.z.test/");
    }

    #[test]
    fn chain_that_leaves_the_zone_or_never_ends_is_not_followed() {
        let mut chain = Chain::at(address("https://a.z.test/"));
        assert_eq!(
            chain.take(&redirect(302, "https://sso.example.org/x", ""), "z.test"),
            Next::Leaves(address("https://sso.example.org/x"))
        );
        let mut chain = Chain::at(address("https://a.z.test/"));
        assert_eq!(
            chain.take(&redirect(302, "https://bad.notz.test/", ""), "z.test"),
            Next::Leaves(address("https://bad.notz.test/"))
        );
        let mut chain = Chain::at(address("https://a.z.test/"));
        for count in 0..MOST {
            assert!(matches!(chain.take(&redirect(302, &format!("/{count}"), ""), "z.test"), Next::Follow(_)));
        }
        assert_eq!(chain.take(&redirect(302, "/more", ""), "z.test"), Next::TooLong);
        assert_eq!(chain.sentence(), "https://a.z.test/ → /0 → /1 → (16 more) → /18 → /19");
        let mut chain = Chain::at(address("https://a.z.test/"));
        assert_eq!(chain.take(&redirect(302, "", ""), "z.test"), Next::Nowhere);
    }
}
