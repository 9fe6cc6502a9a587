//! HTTP by reqwest. Names of the host's zone resolve to its ingress without touching the machine's files, and its CA is trusted
//! by configuration; validation is never switched off.

use std::{
    error::Error,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Certificate, Client, Method, RequestBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::net::TcpStream;

use crate::{
    model::{host::Host, names::Zone},
    ports::{HttpView, Web, WebError},
};

/// As much of a body as is kept.
const BODY_LIMIT: usize = 64 * 1024;
/// As much of a body as a test gets to see.
const TEST_BODY_LIMIT: usize = 8 << 20;

/// A request of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, as `PUT`.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The headers, besides those that every request has.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

/// A client of the apps of one host.
#[derive(Debug)]
pub struct HttpsWeb {
    zone: Zone,
    ingress: Option<SocketAddr>,
    ca: Option<PathBuf>,
    /// Whether cookies that an app sets are sent back to it.
    cookies: bool,
    /// Made on first use, because loading the system's certificates takes time that most commands do not have.
    client: OnceLock<Client>,
}

impl HttpsWeb {
    /// A client for the apps of `host`.
    pub fn of(host: &Host) -> Self {
        Self { zone: host.zone.clone(), ingress: host.ingress, ca: host.ca.clone(), cookies: false, client: OnceLock::new() }
    }

    /// The same, as a browser keeps cookies: what an app sets goes with later requests of this client where it belongs.
    pub fn keeping_cookies(self) -> Self {
        Self { cookies: true, ..self }
    }

    fn client(&self) -> Result<&Client, WebError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // The second installation of a provider is refused, which is what a second client wants.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder().no_proxy().redirect(Policy::none()).user_agent("taster").cookie_store(self.cookies);
        // A connection is not used twice: an ingress ends those that wait when it takes another app in, and a request that was just
        // written to one is lost.
        builder = builder.pool_max_idle_per_host(0);
        if let Some(ca) = &self.ca {
            let unreadable = |message: String| WebError::BadCertificate { message: format!("{}: {message}", ca.display()) };
            let pem = std::fs::read(ca).map_err(|error| unreadable(error.to_string()))?;
            let bundle = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(error.to_string()))?;
            builder = builder.tls_certs_merge(bundle);
        }
        if let Some(ingress) = self.ingress {
            builder = builder.dns_resolver(Arc::new(ZoneResolver { suffix: format!(".{}", self.zone), ingress }));
        }
        let client = builder.build().map_err(|error| WebError::Broken { message: chain(&error) })?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[async_trait]
impl Web for HttpsWeb {
    async fn get(&self, url: &str, timeout: Duration) -> Result<HttpView, WebError> {
        let request = self.client()?.get(url);
        fetch(request, timeout, BODY_LIMIT).await
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), WebError> {
        let of_zone = host.ends_with(&format!(".{}", self.zone));
        // Published ports are on the machine that the ingress is on.
        let to = self.ingress.filter(|_| of_zone).map_or_else(|| host.to_owned(), |ingress| ingress.ip().to_string());
        let connected = tokio::time::timeout(timeout, TcpStream::connect((to.as_str(), port))).await;
        let connected = connected.map_err(|_| WebError::TimedOut { after: timeout })?;
        connected.map(|_| ()).map_err(|error| WebError::NoConnection { message: error.to_string() })
    }
}

impl HttpsWeb {
    /// Any request, otherwise like [`Web::get`], with more of the body.
    pub async fn send(&self, request: &HttpRequest, timeout: Duration) -> Result<HttpView, WebError> {
        let unsendable = |message: String| WebError::Broken { message };
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| unsendable(error.to_string()))?;
        let mut builder = self.client()?.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        fetch(builder, timeout, TEST_BODY_LIMIT).await
    }
}

async fn fetch(request: RequestBuilder, timeout: Duration, limit: usize) -> Result<HttpView, WebError> {
    let fetch = async {
        let mut answer = request.send().await.map_err(|error| classify(&error))?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        // What lies beyond the limit is not waited for: an app may send for ever.
        let mut body = Vec::new();
        while body.len() < limit
            && let Some(piece) = answer.chunk().await.map_err(|error| classify(&error))?
        {
            body.extend_from_slice(&piece);
        }
        body.truncate(limit);
        Ok(HttpView { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    };
    tokio::time::timeout(timeout, fetch).await.unwrap_or(Err(WebError::TimedOut { after: timeout }))
}

fn classify(error: &reqwest::Error) -> WebError {
    let message = chain(error);
    // The error itself names the address, which may hold any word.
    if error.source().map(chain).is_some_and(|cause| cause.contains("certificate")) {
        WebError::BadCertificate { message }
    } else if error.is_connect() {
        WebError::NoConnection { message }
    } else {
        WebError::Broken { message }
    }
}

/// An error with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Resolves the names of one zone to its ingress, and all others as the system does.
struct ZoneResolver {
    suffix: String,
    ingress: SocketAddr,
}

impl Resolve for ZoneResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let found = if name.ends_with(&self.suffix) { Some(self.ingress) } else { None };
        Box::pin(async move {
            if let Some(ingress) = found {
                return Ok(Box::new(std::iter::once(ingress)) as Addrs);
            }
            let addresses = tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs()).await??;
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// An app that sets two cookies with each answer, and answers with the cookies that it got.
    async fn app() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await.unwrap());
                }
                let asked = String::from_utf8(asked).unwrap();
                let got = asked.lines().find_map(|line| line.strip_prefix("cookie: ")).unwrap_or("none");
                let set = "set-cookie: session=1; Path=/; HttpOnly\r\nset-cookie: theme=dark; Path=/admin\r\n";
                let answer = format!("HTTP/1.1 200 OK\r\n{set}content-length: {}\r\nconnection: close\r\n\r\n{got}", got.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn of_an_answer_without_end_the_beginning_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
        });
        let web = HttpsWeb::of(&Host::parse("zone = \"ci.example.org\"").unwrap());
        let view = web.get(&format!("http://{address}/"), Duration::from_secs(5)).await.unwrap();
        assert_eq!((view.status, view.body.len()), (200, BODY_LIMIT));
    }

    #[tokio::test]
    async fn an_address_that_speaks_of_certificates_is_not_taken_for_a_bad_one() {
        let web = HttpsWeb::of(&Host::parse("zone = \"ci.example.org\"").unwrap());
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let answer = web.get(&format!("http://{closed}/certificates"), Duration::from_secs(5)).await;
        assert!(matches!(answer, Err(WebError::NoConnection { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn only_a_client_that_is_to_keep_cookies_sends_them_back_and_where_they_belong() {
        let address = app().await;
        let host = Host::parse("zone = \"ci.example.org\"").unwrap();
        let got = async |web: &HttpsWeb, path: &str| {
            let request =
                HttpRequest { method: "GET".into(), url: format!("http://{address}{path}"), headers: Vec::new(), body: None };
            web.send(&request, Duration::from_secs(20)).await.unwrap().body
        };
        let plain = HttpsWeb::of(&host);
        assert_eq!([got(&plain, "/").await, got(&plain, "/").await], ["none", "none"]);
        let keeping = HttpsWeb::of(&host).keeping_cookies();
        assert_eq!([got(&keeping, "/").await, got(&keeping, "/").await], ["none", "session=1"]);
        let mut both: Vec<String> = got(&keeping, "/admin").await.split("; ").map(str::to_owned).collect();
        both.sort();
        assert_eq!(both, ["session=1", "theme=dark"]);
    }
}
