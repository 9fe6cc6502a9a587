//! A simulated site: the answers to requests for the app, and what else may answer under its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use harness::{
    model::{engine::SwarmError, http::HttpView},
    ports::{AnswerOrigin, OriginError, TaskRequest},
    pure::host::http::impostors::Exposure,
};

/// The site. By default each address answers `hello`, and nothing else is there.
#[derive(Debug, Clone, Default)]
pub struct SimSite {
    /// The answers by path.
    pub pages: BTreeMap<String, HttpView>,
    /// The cookie without which the page `/` redirects to itself and sets it.
    pub wants_cookie: Option<String>,
    /// All services and containers.
    pub exposures: Vec<Exposure>,
    /// The answer of the app's task; without one it is out of reach.
    pub task: Option<HttpView>,
}

/// An answer with a status, headers and a body.
pub fn view(status: u16, headers: &[(&str, &str)], body: &str) -> HttpView {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HttpView { status, headers, body: body.into() }
}

/// A service with these labels, on the network `proxy` under its name and `aliases`.
pub fn exposure(name: &str, stack: Option<&str>, labels: &[(&str, &str)], aliases: &[&str]) -> Exposure {
    let names: BTreeSet<String> = [name].iter().chain(aliases).map(|name| (*name).to_owned()).collect();
    Exposure {
        name: name.to_owned(),
        stack: stack.map(|stack| stack.parse().expect("a stack")),
        labels: labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
        networks: BTreeMap::from([("proxy".to_owned(), names)]),
    }
}

impl SimSite {
    /// The answer to a request.
    pub fn answer(&self, url: &str, cookies: &str) -> HttpView {
        let path = url.splitn(4, '/').nth(3).map_or_else(|| "/".to_owned(), |path| format!("/{path}"));
        if let Some(cookie) = self.wants_cookie.as_ref().filter(|cookie| path == "/" && !cookies.contains(cookie.as_str())) {
            return view(302, &[("location", "/"), ("set-cookie", cookie)], "");
        }
        self.pages.get(&path).cloned().unwrap_or_else(|| view(200, &[], "hello"))
    }
}

#[async_trait]
impl AnswerOrigin for SimSite {
    async fn exposures(&self) -> Result<Vec<Exposure>, SwarmError> {
        Ok(self.exposures.clone())
    }

    async fn ask_task(&self, _: &TaskRequest, _: Duration) -> Result<HttpView, OriginError> {
        self.task.clone().ok_or_else(|| OriginError::OutOfReach("its container is not on this machine".into()))
    }
}
