//! One browser with one window and a new profile. It reaches nothing but the zone.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    elements::Element,
    error::{CmdError, ErrorStatus, NewSessionError},
    wd::WebDriverCompatibleCommand,
};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::tools;
use crate::{
    model::{host::Host, names::Zone, protocol::Tools},
    pure::host::preflight::BROWSER_REMEDY,
};

/// The longest start of chromedriver, and the longest run of certutil.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time until the browser has a window.
const WINDOW_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest load of one page, in milliseconds.
const LOAD_MS: u64 = 20_000;
/// The line that chromedriver prints when it listens; its port follows.
const LISTENS: &str = "was started successfully on port ";
/// How the true address of a page begins when the browser shows its own error page.
const ERROR_PAGE: &str = "chrome-error://";
/// The most characters of the driver's log that an error quotes.
const QUOTE_CHARS: usize = 300;

/// A browser. Dropping it ends all its processes: chromedriver is killed, and the browser ends with its pipe to chromedriver.
pub struct Session {
    client: Client,
    /// Ended when this is dropped.
    _driver: Child,
    /// Kept open, because chromedriver goes on writing to it.
    _output: ChildStdout,
}

/// Why a browser could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The browser, or a program that it needs, is not installed.
    #[error("{what}; {BROWSER_REMEDY}")]
    Absent {
        /// What is missing.
        what: String,
    },
    /// The browser does not start.
    #[error("the browser does not start: {message}")]
    Broken {
        /// The message of the browser or its driver.
        message: String,
    },
}

/// A command that chromedriver refused or could not carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    /// The first line of the driver's message.
    pub message: String,
}

/// Why a page was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The app was not reached, which may pass.
    #[error("{0}")]
    Unreached(String),
    /// The app was reached and has no such page.
    #[error("{0}")]
    NoPage(String),
}

/// An action on an element of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Wait until it shows.
    See,
    /// Its text.
    Text,
    /// Click it.
    Click,
    /// Empty it and type the text.
    Fill(&'a str),
}

/// Why an action was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The page is not ready for it yet.
    #[error("{0}")]
    NotYet(String),
    /// It is impossible.
    #[error("{0}")]
    Never(String),
}

/// A line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLine {
    /// Whether it is an error.
    pub severe: bool,
    /// Its text.
    pub text: String,
}

impl ConsoleLine {
    /// Whether it reports a resource of the page that was lost for a passing reason: its connection broke, or an ingress could
    /// not reach the app.
    pub fn is_lost_resource(&self) -> bool {
        let status = ["status of 502", "status of 503", "status of 504"];
        self.severe && (is_transient(&self.text) || status.iter().any(|status| self.text.contains(status)))
    }
}

impl fmt::Display for ConsoleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.severe { "error" } else { "note" }, self.text)
    }
}

impl Session {
    /// Starts a browser that resolves names of the host's zone only and trusts the host's CA. Its profile is in a new folder
    /// below `work_dir`.
    ///
    /// # Errors
    /// When it is not there, or does not start.
    pub async fn open(tools: &Tools, host: &Host, work_dir: &Path) -> Result<Self, SessionError> {
        let absent = |what: String| SessionError::Absent { what };
        if let Some(missing) = tools::missing(tools, host.ca.is_some()) {
            return Err(absent(missing));
        }
        let (Some(driver), Some(browser)) = (&tools.driver, &tools.browser) else {
            return Err(absent("there is no browser".into()));
        };
        let broken = |message: String| SessionError::Broken { message };
        let io = |error: io::Error| broken(error.to_string());
        let home = tempfile::Builder::new().prefix("browser-").tempdir_in(work_dir).map_err(io)?.keep();
        if let (Some(ca), Some(certutil)) = (&host.ca, &tools.certutil) {
            trust_ca(certutil, &home, ca).await?;
        }
        let log = home.join("driver.log");
        let (mut driver, output, port) = start(driver, &home, &log).await.map_err(io)?;
        let address = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(browser, &home, &host.zone, host.ingress));
        match timeout(WINDOW_TIMEOUT, builder.connect(&address)).await {
            Ok(Ok(client)) => Ok(Self { client, _driver: driver, _output: output }),
            other => {
                let _ = driver.start_kill();
                let reason = match other {
                    Ok(Err(error)) => session_message(&error),
                    _ => format!("no window after {} s", WINDOW_TIMEOUT.as_secs()),
                };
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<char> = log.trim().chars().rev().take(QUOTE_CHARS).collect();
                let last: String = last.into_iter().rev().collect();
                Err(broken(if last.is_empty() { reason } else { format!("{reason}; its log ends with {last:?}") }))
            }
        }
    }

    /// Loads a page and returns the status of its answer.
    ///
    /// # Errors
    /// When there is no page.
    pub async fn load(&self, url: &str) -> Result<u16, LoadError> {
        match self.client.goto(url).await {
            Ok(()) => {}
            Err(error) => {
                let message = driver_message(&error);
                return Err(if is_transient(&message) { LoadError::Unreached(message) } else { LoadError::NoPage(message) });
            }
        }
        let script = "const entry = performance.getEntriesByType('navigation')[0]; \
                      return [location.href, entry ? entry.responseStatus : 0, document.body ? document.body.innerText : ''];";
        let page = self.client.execute(script, Vec::new()).await.map_err(|error| LoadError::NoPage(driver_message(&error)))?;
        if page[0].as_str().is_some_and(|address| address.starts_with(ERROR_PAGE)) {
            let text = page[2].as_str().unwrap_or_default();
            let code = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).find(|word| word.starts_with("ERR_"));
            return Err(LoadError::NoPage(
                code.map_or_else(|| "the browser shows no page".to_owned(), |code| format!("net::{code}")),
            ));
        }
        match page[1].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default() {
            status @ 502..=504 => Err(LoadError::Unreached(format!("it answers {status}"))),
            status => Ok(status),
        }
    }

    /// Loads the current page again.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn reload(&self) -> Result<(), DriverError> {
        self.client.refresh().await.map_err(|error| driver_error(&error))
    }

    /// Acts on the first element that a CSS selector finds and returns its text for [`Action::Text`].
    ///
    /// # Errors
    /// When the action is impossible, or not possible yet.
    pub async fn act(&self, css: &str, act: Action<'_>) -> Result<String, ActionError> {
        let element = self.client.find(Locator::Css(css)).await.map_err(|error| action_error(&error))?;
        match act {
            Action::See => match element.is_displayed().await.map_err(|error| action_error(&error))? {
                true => Ok(String::new()),
                false => Err(ActionError::NotYet("it is on the page and not visible".into())),
            },
            Action::Text => element.text().await.map_err(|error| action_error(&error)),
            Action::Click => element.click().await.map(|()| String::new()).map_err(|error| action_error(&error)),
            Action::Fill(text) => fill(&element, text).await.map(|()| String::new()).map_err(|error| action_error(&error)),
        }
    }

    /// Runs a script in the page and returns its value.
    ///
    /// # Errors
    /// When the script throws.
    pub async fn eval(&self, script: &str) -> Result<Value, DriverError> {
        self.client.execute(script, Vec::new()).await.map_err(|error| driver_error(&error))
    }

    /// The lines of the console since the last call.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn console(&self) -> Result<Vec<ConsoleLine>, DriverError> {
        let lines = self.client.issue_cmd(ConsoleLog).await.map_err(|error| driver_error(&error))?;
        let line = |line: &Value| ConsoleLine {
            severe: line["level"] == "SEVERE",
            text: line["message"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(lines.as_array().into_iter().flatten().map(line).collect())
    }

    /// A screenshot of the window, as a PNG.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub async fn screenshot(&self) -> Result<Vec<u8>, DriverError> {
        self.client.screenshot().await.map_err(|error| driver_error(&error))
    }
}

async fn fill(element: &Element, text: &str) -> Result<(), CmdError> {
    element.clear().await?;
    element.send_keys(text).await
}

/// Creates a database of certificates in `home` that holds the host's CA. Chromium trusts what it finds there.
async fn trust_ca(certutil: &Path, home: &Path, ca: &Path) -> Result<(), SessionError> {
    let broken = |message: String| SessionError::Broken { message };
    let folder = home.join(".pki/nssdb");
    std::fs::create_dir_all(&folder).map_err(|error| broken(error.to_string()))?;
    let database = format!("sql:{}", folder.display());
    let new = ["-N", "--empty-password", "-d", &database].map(PathBuf::from).to_vec();
    let mut add = ["-A", "-t", "C,,", "-n", "host", "-d", &database, "-i"].map(PathBuf::from).to_vec();
    add.push(ca.to_owned());
    for args in [new, add] {
        let mut command = Command::new(certutil);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        let ended = timeout(START_TIMEOUT, command.output()).await.map_err(|_| broken("certutil did not finish".into()))?;
        let ended = ended.map_err(|error| broken(format!("certutil cannot be started: {error}")))?;
        if !ended.status.success() {
            return Err(broken(format!("certutil failed: {:?}", String::from_utf8_lossy(&ended.stderr).trim())));
        }
    }
    Ok(())
}

/// Starts chromedriver on a port that it chooses and returns the port. It and the browser stay in the group of this process, so a
/// signal to the group ends them.
async fn start(driver: &Path, home: &Path, log: &Path) -> io::Result<(Child, ChildStdout, u16)> {
    let mut command = Command::new(driver);
    command.arg("--port=0").env("HOME", home).env("TMPDIR", home).current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(log)?).kill_on_drop(true);
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("chromedriver has no output"))?;
    let mut lines = BufReader::new(output).lines();
    let port = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(port) = port(&line) {
                return Ok(port);
            }
        }
        Err(io::Error::other("chromedriver ended before it listened"))
    };
    let port = timeout(START_TIMEOUT, port).await.map_err(|_| io::Error::other("chromedriver does not listen"))??;
    Ok((child, lines.into_inner().into_inner(), port))
}

fn port(line: &str) -> Option<u16> {
    line.split_once(LISTENS)?.1.trim_end_matches('.').parse().ok()
}

fn capabilities(browser: &Path, home: &Path, zone: &Zone, ingress: Option<SocketAddr>) -> serde_json::Map<String, Value> {
    let shell = browser.file_name().is_some_and(|name| name.to_string_lossy().ends_with("headless-shell"));
    let mut args = vec![
        "--headless".to_owned(),
        "--window-size=1280,800".to_owned(),
        "--hide-scrollbars".to_owned(),
        format!("--user-data-dir={}", home.join("profile").display()),
        format!("--host-resolver-rules={}", resolver_rules(zone, ingress)),
        "--no-proxy-server".to_owned(),
        // The browser ends when chromedriver does, however that ends, and no port of the machine leads into it.
        "--remote-debugging-pipe".to_owned(),
    ];
    if rustix::process::geteuid().is_root() {
        // Chromium's own sandbox does not work for root.
        args.push("--no-sandbox".to_owned());
    }
    let wanted = json!({
        "browserName": if shell { "chrome-headless-shell" } else { "chrome" },
        "acceptInsecureCerts": false,
        "timeouts": { "pageLoad": LOAD_MS, "script": LOAD_MS, "implicit": 0 },
        "goog:chromeOptions": { "binary": browser.display().to_string(), "args": args },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    match wanted {
        Value::Object(wanted) => wanted,
        _ => serde_json::Map::new(),
    }
}

/// The rules of the browser's resolver: only names of the zone resolve, to the ingress where DNS does not know them. Addresses do
/// not resolve either.
fn resolver_rules(zone: &Zone, ingress: Option<SocketAddr>) -> String {
    match ingress {
        Some(ingress) => format!("MAP *.{zone} {ingress}, MAP * ~NOTFOUND"),
        None => format!("MAP * ~NOTFOUND, EXCLUDE *.{zone}"),
    }
}

/// The console as chromedriver keeps it; no standard has this command.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// Whether the error of a page load may pass: nothing listens yet, or the connection broke.
fn is_transient(message: &str) -> bool {
    ["net::ERR_CONNECTION_", "net::ERR_EMPTY_RESPONSE", "net::ERR_NETWORK_CHANGED", "net::ERR_TIMED_OUT", "net::ERR_HTTP2_"]
        .iter()
        .any(|word| message.contains(word))
}

fn driver_error(error: &CmdError) -> DriverError {
    DriverError { message: driver_message(error) }
}

/// The first line of the driver's message; its stack trace follows.
fn driver_message(error: &CmdError) -> String {
    let message = match error {
        CmdError::Standard(error) if error.error == ErrorStatus::NoSuchElement => "it is not on the page".to_owned(),
        CmdError::Standard(error) => error.message.to_string(),
        other => other.to_string(),
    };
    first_line(&message)
}

/// The first line of the message of a session that does not start.
fn session_message(error: &NewSessionError) -> String {
    let message = match error {
        NewSessionError::SessionNotCreated(error) => error.message.to_string(),
        other => other.to_string(),
    };
    first_line(&message)
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

/// Whether the action may succeed later depends on the kind of the error.
fn action_error(error: &CmdError) -> ActionError {
    let waits = match error {
        CmdError::Standard(error) => matches!(
            error.error,
            ErrorStatus::NoSuchElement
                | ErrorStatus::StaleElementReference
                | ErrorStatus::ElementNotInteractable
                | ErrorStatus::ElementClickIntercepted
                | ErrorStatus::InvalidElementState
        ),
        _ => false,
    };
    let message = driver_message(error);
    if waits { ActionError::NotYet(message) } else { ActionError::Never(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chromedriver_line_with_port_is_parsed() {
        for (line, expected) in [
            ("ChromeDriver was started successfully on port 42377.", Some(42377)),
            ("Starting ChromeDriver 156.0.8078.79 on port 0", None),
            ("", None),
        ] {
            assert_eq!(port(line), expected, "{line}");
        }
    }

    #[test]
    fn resolver_rules_resolve_only_the_zone() {
        let zone: Zone = "taster.test".parse().unwrap();
        let ingress = Some("127.0.0.1:443".parse().unwrap());
        assert_eq!(resolver_rules(&zone, ingress), "MAP *.taster.test 127.0.0.1:443, MAP * ~NOTFOUND");
        assert_eq!(resolver_rules(&zone, None), "MAP * ~NOTFOUND, EXCLUDE *.taster.test");
    }

    #[test]
    fn broken_connections_are_transient_and_other_errors_are_not() {
        for (message, expected) in [
            ("unknown error: net::ERR_CONNECTION_REFUSED", true),
            ("unknown error: net::ERR_CONNECTION_RESET", true),
            ("unknown error: net::ERR_NAME_NOT_RESOLVED", false),
            ("unknown error: net::ERR_CERT_AUTHORITY_INVALID", false),
            ("invalid argument: bad url", false),
        ] {
            assert_eq!(is_transient(message), expected, "{message}");
        }
    }

    #[test]
    fn resource_is_lost_with_its_connection_and_not_by_an_answer_of_the_app() {
        for (severe, text, lost) in [
            (true, "https://a/chunk.js - Failed to load resource: net::ERR_CONNECTION_CLOSED", true),
            (true, "https://a/chunk.js - Failed to load resource: the server responded with a status of 502 (Bad Gateway)", true),
            (true, "https://a/api - Failed to load resource: the server responded with a status of 404 (Not Found)", false),
            (true, "https://fonts.example/a.woff2 - Failed to load resource: net::ERR_NAME_NOT_RESOLVED", false),
            (true, "https://a/ 3:1 Uncaught TypeError: x is undefined", false),
            (false, "https://a/ mentions net::ERR_CONNECTION_CLOSED", false),
        ] {
            assert_eq!(ConsoleLine { severe, text: text.to_owned() }.is_lost_resource(), lost, "{text}");
        }
    }
}
