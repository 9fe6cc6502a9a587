//! HTTP through reqwest. Names of the host's zone resolve to its ingress without changes to the machine's files. The client
//! trusts the host's CA besides those of the system and always validates certificates.

use std::{
    collections::BTreeMap,
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
    disk::plain_file::{self, Links, SETTINGS_LIMIT},
    model::{host::Host, names::Zone},
    ports::{HttpView, Web, WebError},
};

/// The largest part of a body that a probe keeps, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// The largest part of a body that a test gets, in bytes.
const TEST_BODY_LIMIT: usize = 8 << 20;

/// A request of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, as `PUT`.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The headers besides those of every request.
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
    /// Whether the client keeps cookies and sends them back.
    cookies: bool,
    /// Created on first use, because loading the system's certificates is slow and most commands do not need it.
    client: OnceLock<Client>,
}

impl HttpsWeb {
    /// A client for the apps of `host`.
    pub fn of(host: &Host) -> Self {
        Self { zone: host.zone.clone(), ingress: host.ingress, ca: host.ca.clone(), cookies: false, client: OnceLock::new() }
    }

    /// The same with cookies, as a browser keeps them: later requests of this client send them to the paths that they belong to.
    pub fn keeping_cookies(self) -> Self {
        Self { cookies: true, ..self }
    }

    fn client(&self) -> Result<&Client, WebError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A second client cannot install the provider again and does not need to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder().no_proxy().redirect(Policy::none()).user_agent("taster").cookie_store(self.cookies);
        // Connections are not reused: an ingress closes idle ones when it reloads, and a request on such a connection is lost.
        builder = builder.pool_max_idle_per_host(0);
        if let Some(ca) = &self.ca {
            let unreadable = |message: String| WebError::BadCertificate { message: format!("{}: {message}", ca.display()) };
            let pem = plain_file::read(ca, SETTINGS_LIMIT, Links::Followed).map_err(|error| unreadable(error.to_string()))?;
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
    async fn get(&self, url: &str, cookies: &str, timeout: Duration) -> Result<HttpView, WebError> {
        let mut request = self.client()?.get(url);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        fetch(request, timeout, BODY_LIMIT).await
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), WebError> {
        let of_zone = host.ends_with(&format!(".{}", self.zone));
        // Published ports are on the machine of the ingress.
        let to = self.ingress.filter(|_| of_zone).map_or_else(|| host.to_owned(), |ingress| ingress.ip().to_string());
        let connected = tokio::time::timeout(timeout, TcpStream::connect((to.as_str(), port))).await;
        let connected = connected.map_err(|_| WebError::TimedOut { after: timeout })?;
        connected.map(|_| ()).map_err(|error| WebError::NoConnection { message: error.to_string() })
    }
}

impl HttpsWeb {
    /// Sends any request; like [`Web::get`], with a larger part of the body.
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
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in answer.headers() {
            let all = headers.entry(name.as_str().to_owned()).or_default();
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        // Reading stops at the limit, because an app may send without end.
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
    // The cause is examined and not the error itself, which names the address and so may contain any word.
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

/// Resolves the names of one zone to its ingress and all others through the system.
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

    /// An app that sets two cookies with each answer and answers with the received cookies.
    async fn app() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let received = request.lines().find_map(|line| line.strip_prefix("cookie: ")).unwrap_or("none");
                let set = "set-cookie: session=1; Path=/; HttpOnly\r\nset-cookie: theme=dark; Path=/admin\r\n";
                let answer =
                    format!("HTTP/1.1 200 OK\r\n{set}content-length: {}\r\nconnection: close\r\n\r\n{received}", received.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn answer_without_end_is_cut_at_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
        });
        let web = HttpsWeb::of(&Host::parse("zone = \"ci.example.org\"").unwrap());
        let view = web.get(&format!("http://{address}/"), "", Duration::from_secs(5)).await.unwrap();
        assert_eq!((view.status, view.body.len()), (200, BODY_LIMIT));
    }

    #[tokio::test]
    async fn address_with_the_word_certificate_is_not_a_certificate_error() {
        let web = HttpsWeb::of(&Host::parse("zone = \"ci.example.org\"").unwrap());
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let answer = web.get(&format!("http://{closed}/certificates"), "", Duration::from_secs(5)).await;
        assert!(matches!(answer, Err(WebError::NoConnection { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn cookies_are_sent_back_only_by_a_keeping_client_and_to_their_path() {
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
