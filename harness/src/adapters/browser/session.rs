//! One browser with one window, a profile of its own, and no way to anything but the zone.

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

/// How long chromedriver may take until it listens, and certutil for a database.
const START: Duration = Duration::from_secs(10);
/// How long the browser may take until it has a window.
const OPEN: Duration = Duration::from_secs(30);
/// How long the loading of one page may take, in milliseconds.
const LOAD_MS: u64 = 20_000;
/// What chromedriver prints when it listens; its port follows.
const LISTENS: &str = "was started successfully on port ";
/// What the address of a page is in truth when the browser shows its own words about a page that it does not have.
const NO_PAGE: &str = "chrome-error://";
/// As much of what the driver wrote as a sentence quotes, in characters.
const QUOTED: usize = 300;

/// A browser. It ends with all its processes when this is dropped: it hangs on a pipe of chromedriver's.
pub struct Session {
    client: Client,
    /// Ended when this is dropped.
    _driver: Child,
    /// chromedriver goes on writing to it.
    _said: ChildStdout,
}

/// Why there is no browser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It, or what it takes, is not there.
    #[error("{what}; {BROWSER_REMEDY}")]
    Absent {
        /// What is not there.
        what: String,
    },
    /// It does not start.
    #[error("the browser does not start: {message}")]
    Broken {
        /// What it or its driver says.
        message: String,
    },
}

/// Why a page was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// It could not be reached, which may pass.
    Unreached(String),
    /// It could, and there is no page.
    NoPage(String),
}

/// What is done with an element of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Wait until it shows.
    See,
    /// Its text.
    Text,
    /// Click it.
    Click,
    /// Empty it and type.
    Fill(&'a str),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionError {
    /// Not yet: the page is not so far.
    NotYet(String),
    /// It cannot be done.
    Never(String),
}

/// A line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLine {
    /// Whether it is an error.
    pub severe: bool,
    /// What it says.
    pub text: String,
}

impl ConsoleLine {
    /// Whether it says that a part of the page was lost for a reason that may pass: with its connection, or because an ingress could not
    /// reach the app.
    pub fn is_lost_part(&self) -> bool {
        let status = ["status of 502", "status of 503", "status of 504"];
        self.severe && (passes(&self.text) || status.iter().any(|status| self.text.contains(status)))
    }
}

impl fmt::Display for ConsoleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.severe { "error" } else { "note" }, self.text)
    }
}

impl Session {
    /// Starts a browser that resolves names of the host's zone only and trusts the host's CA. Its profile is in a new folder below
    /// `room`.
    ///
    /// # Errors
    /// When it is not there, or does not start.
    pub async fn open(tools: &Tools, host: &Host, room: &Path) -> Result<Self, SessionError> {
        let absent = |what: String| SessionError::Absent { what };
        if let Some(missing) = tools::missing(tools, host.ca.is_some()) {
            return Err(absent(missing));
        }
        let (Some(driver), Some(browser)) = (&tools.driver, &tools.browser) else {
            return Err(absent("there is no browser".into()));
        };
        let broken = |message: String| SessionError::Broken { message };
        let io = |error: io::Error| broken(error.to_string());
        let home = tempfile::Builder::new().prefix("browser-").tempdir_in(room).map_err(io)?.keep();
        if let (Some(ca), Some(certutil)) = (&host.ca, &tools.certutil) {
            trust(certutil, &home, ca).await.map_err(broken)?;
        }
        let log = home.join("driver.log");
        let (mut driver, said, port) = start(driver, &home, &log).await.map_err(io)?;
        let address = format!("http://127.0.0.1:{port}");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(browser, &home, &host.zone, host.ingress));
        match timeout(OPEN, builder.connect(&address)).await {
            Ok(Ok(client)) => Ok(Self { client, _driver: driver, _said: said }),
            other => {
                let _ = driver.start_kill();
                let why = match other {
                    Ok(Err(error)) => refused(&error),
                    _ => format!("it has no window after {} s", OPEN.as_secs()),
                };
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<char> = log.trim().chars().rev().take(QUOTED).collect();
                let last: String = last.into_iter().rev().collect();
                Err(broken(if last.is_empty() { why } else { format!("{why}; it wrote {last:?}") }))
            }
        }
    }

    /// Loads a page, and gives the status of its answer.
    ///
    /// # Errors
    /// When there is no page.
    pub async fn load(&self, url: &str) -> Result<u16, LoadError> {
        match self.client.goto(url).await {
            Ok(()) => {}
            Err(error) => {
                let said = words(&error);
                return Err(if passes(&said) { LoadError::Unreached(said) } else { LoadError::NoPage(said) });
            }
        }
        let script = "const entry = performance.getEntriesByType('navigation')[0]; \
                      return [location.href, entry ? entry.responseStatus : 0, document.body ? document.body.innerText : ''];";
        let shown = self.client.execute(script, Vec::new()).await.map_err(|error| LoadError::NoPage(words(&error)))?;
        if shown[0].as_str().is_some_and(|address| address.starts_with(NO_PAGE)) {
            let said = shown[2].as_str().unwrap_or_default();
            let code = said.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).find(|word| word.starts_with("ERR_"));
            return Err(LoadError::NoPage(
                code.map_or_else(|| "the browser shows no page".to_owned(), |code| format!("net::{code}")),
            ));
        }
        match shown[1].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default() {
            status @ 502..=504 => Err(LoadError::Unreached(format!("it answers {status}"))),
            status => Ok(status),
        }
    }

    /// Loads the page that is shown once more.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn reload(&self) -> Result<(), String> {
        self.client.refresh().await.map_err(|error| words(&error))
    }

    /// Does something with the first element that a CSS selector finds, and gives its text where that is asked for.
    ///
    /// # Errors
    /// When it cannot be done, or not yet.
    pub async fn act(&self, css: &str, act: Action<'_>) -> Result<String, ActionError> {
        let element = self.client.find(Locator::Css(css)).await.map_err(|error| action_error(&error))?;
        match act {
            Action::See => match element.is_displayed().await.map_err(|error| action_error(&error))? {
                true => Ok(String::new()),
                false => Err(ActionError::NotYet("it is there and does not show".into())),
            },
            Action::Text => element.text().await.map_err(|error| action_error(&error)),
            Action::Click => element.click().await.map(|()| String::new()).map_err(|error| action_error(&error)),
            Action::Fill(text) => fill(&element, text).await.map(|()| String::new()).map_err(|error| action_error(&error)),
        }
    }

    /// What a script returns that is run in the page.
    ///
    /// # Errors
    /// What the script throws.
    pub async fn eval(&self, script: &str) -> Result<Value, String> {
        self.client.execute(script, Vec::new()).await.map_err(|error| words(&error))
    }

    /// What was written to the console since the last time that this was asked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn console(&self) -> Result<Vec<ConsoleLine>, String> {
        let lines = self.client.issue_cmd(ConsoleLog).await.map_err(|error| words(&error))?;
        let line = |line: &Value| ConsoleLine {
            severe: line["level"] == "SEVERE",
            text: line["message"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(lines.as_array().into_iter().flatten().map(line).collect())
    }

    /// A picture of the window, as a PNG.
    ///
    /// # Errors
    /// When none can be taken.
    pub async fn picture(&self) -> Result<Vec<u8>, String> {
        self.client.screenshot().await.map_err(|error| words(&error))
    }
}

async fn fill(element: &Element, text: &str) -> Result<(), CmdError> {
    element.clear().await?;
    element.send_keys(text).await
}

/// A database of certificates in `home` with the host's CA in it, which is where Chromium looks for what it trusts besides its own.
async fn trust(certutil: &Path, home: &Path, ca: &Path) -> Result<(), String> {
    let folder = home.join(".pki/nssdb");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let database = format!("sql:{}", folder.display());
    let new = ["-N", "--empty-password", "-d", &database].map(PathBuf::from).to_vec();
    let mut add = ["-A", "-t", "C,,", "-n", "host", "-d", &database, "-i"].map(PathBuf::from).to_vec();
    add.push(ca.to_owned());
    for args in [new, add] {
        let mut command = Command::new(certutil);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        let ended = timeout(START, command.output()).await.map_err(|_| "certutil does not end".to_owned())?;
        let ended = ended.map_err(|error| format!("certutil cannot be started: {error}"))?;
        if !ended.status.success() {
            return Err(format!("certutil says {:?}", String::from_utf8_lossy(&ended.stderr).trim()));
        }
    }
    Ok(())
}

/// Starts chromedriver on a port of its own choice, and says which. It stays in the group of this process, and so does the browser,
/// so that whoever ends the group ends them.
async fn start(driver: &Path, home: &Path, log: &Path) -> io::Result<(Child, ChildStdout, u16)> {
    let mut command = Command::new(driver);
    command.arg("--port=0").env("HOME", home).env("TMPDIR", home).current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(log)?).kill_on_drop(true);
    let mut child = command.spawn()?;
    let said = child.stdout.take().ok_or_else(|| io::Error::other("chromedriver has no output"))?;
    let mut lines = BufReader::new(said).lines();
    let port = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(port) = port(&line) {
                return Ok(port);
            }
        }
        Err(io::Error::other("chromedriver ended before it listened"))
    };
    let port = timeout(START, port).await.map_err(|_| io::Error::other("chromedriver does not listen"))??;
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
        format!("--host-resolver-rules={}", names(zone, ingress)),
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

/// What the browser resolves: names of the zone, to the ingress where DNS does not know them, and nothing else, addresses included.
fn names(zone: &Zone, ingress: Option<SocketAddr>) -> String {
    match ingress {
        Some(ingress) => format!("MAP *.{zone} {ingress}, MAP * ~NOTFOUND"),
        None => format!("MAP * ~NOTFOUND, EXCLUDE *.{zone}"),
    }
}

/// The console as chromedriver keeps it, which no standard has.
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

/// Whether what kept a page from loading may pass: nobody listens yet, or the connection broke.
fn passes(said: &str) -> bool {
    ["net::ERR_CONNECTION_", "net::ERR_EMPTY_RESPONSE", "net::ERR_NETWORK_CHANGED", "net::ERR_TIMED_OUT", "net::ERR_HTTP2_"]
        .iter()
        .any(|word| said.contains(word))
}

/// The first line of what the driver says; stacks of its own follow.
fn words(error: &CmdError) -> String {
    let told = match error {
        CmdError::Standard(error) if error.error == ErrorStatus::NoSuchElement => "it is not on the page".to_owned(),
        CmdError::Standard(error) => error.message.to_string(),
        other => other.to_string(),
    };
    told.lines().next().unwrap_or_default().trim().to_owned()
}

fn refused(error: &NewSessionError) -> String {
    let told = match error {
        NewSessionError::SessionNotCreated(error) => error.message.to_string(),
        other => other.to_string(),
    };
    told.lines().next().unwrap_or_default().trim().to_owned()
}

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
    let said = words(error);
    if waits { ActionError::NotYet(said) } else { ActionError::Never(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_line_that_has_it() {
        for (line, expected) in [
            ("ChromeDriver was started successfully on port 42377.", Some(42377)),
            ("Starting ChromeDriver 156.0.8078.79 on port 0", None),
            ("", None),
        ] {
            assert_eq!(port(line), expected, "{line}");
        }
    }

    #[test]
    fn names_outside_the_zone_are_never_resolved() {
        let zone: Zone = "taster.test".parse().unwrap();
        let ingress = Some("127.0.0.1:443".parse().unwrap());
        assert_eq!(names(&zone, ingress), "MAP *.taster.test 127.0.0.1:443, MAP * ~NOTFOUND");
        assert_eq!(names(&zone, None), "MAP * ~NOTFOUND, EXCLUDE *.taster.test");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (said, expected) in [
            ("unknown error: net::ERR_CONNECTION_REFUSED", true),
            ("unknown error: net::ERR_CONNECTION_RESET", true),
            ("unknown error: net::ERR_NAME_NOT_RESOLVED", false),
            ("unknown error: net::ERR_CERT_AUTHORITY_INVALID", false),
            ("invalid argument: bad url", false),
        ] {
            assert_eq!(passes(said), expected, "{said}");
        }
    }

    #[test]
    fn a_part_of_a_page_is_lost_with_its_connection_and_not_by_the_apps_own_word() {
        for (severe, text, lost) in [
            (true, "https://a/chunk.js - Failed to load resource: net::ERR_CONNECTION_CLOSED", true),
            (true, "https://a/chunk.js - Failed to load resource: the server responded with a status of 502 (Bad Gateway)", true),
            (true, "https://a/api - Failed to load resource: the server responded with a status of 404 (Not Found)", false),
            (true, "https://fonts.example/a.woff2 - Failed to load resource: net::ERR_NAME_NOT_RESOLVED", false),
            (true, "https://a/ 3:1 Uncaught TypeError: x is undefined", false),
            (false, "https://a/ a word on net::ERR_CONNECTION_CLOSED", false),
        ] {
            assert_eq!(ConsoleLine { severe, text: text.to_owned() }.is_lost_part(), lost, "{text}");
        }
    }
}
