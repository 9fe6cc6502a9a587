//! The specimen: the web app of the sandbox's own recipes, with faults that its environment selects.
//!
//! It has no dependency, is linked statically and is the only file of its image. Its environment: `SPECIMEN_NAME`,
//! `SPECIMEN_VERSION` (shown on the page), `SPECIMEN_PORT` (80), `SPECIMEN_DATA` (the folder of the posts, `/data`), and
//! `SPECIMEN_FAULTS`, a list of these, separated by commas:
//!
//! | fault | effect |
//! |---|---|
//! | `crash:N` | writes a line and exits N at once |
//! | `crash-after:S:N` | serves for S seconds, then exits N |
//! | `once` | writes a line and exits 0 at once |
//! | `silent` | runs without listening |
//! | `unhealthy` | `/health` answers 500 |
//! | `slow:S` | listens only after S seconds |
//! | `stubborn` | ignores SIGTERM |
//! | `wait:HOST:PORT` | listens once that address accepts a connection |
//! | `needs:HOST:PORT` | exits 1 unless that address accepts a connection |
//! | `database:S` | listens on port 5432 after S seconds, instead of serving HTTP |
//!
//! `specimen probe http://HOST[:PORT]/PATH` prints the status of the answer and exits 0 for 200, else 1. It is the health
//! check, because the image has no shell. `specimen connect HOST:PORT SECONDS` exits 0 once the address accepts a connection,
//! and 1 when it does not in that time.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::exit,
    thread,
    time::{Duration, Instant},
};

unsafe extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
    fn _exit(code: i32) -> !;
}

const SIGTERM: i32 = 15;
const SIG_IGN: usize = 1;
const LARGEST_BODY: u64 = 1 << 20;

/// The first process of a container has no default action for a signal, so SIGTERM needs a handler.
extern "C" fn end(_: i32) {
    // SAFETY: `_exit` may be called in a signal handler.
    unsafe { _exit(0) }
}

fn main() {
    let args: Vec<String> = env::args().collect();
    if let [_, verb, url] = &args[..]
        && verb == "probe"
    {
        let (ok, status) = probe(url);
        println!("GET {url}: {status}");
        exit(if ok { 0 } else { 1 });
    }
    if let [_, verb, address, seconds] = &args[..]
        && verb == "connect"
    {
        exit(if connects(address, Duration::from_secs(number(seconds).unsigned_abs().into())) { 0 } else { 1 });
    }
    let faults = setting("SPECIMEN_FAULTS", "");
    let faults: Vec<Vec<&str>> =
        faults.split(',').map(str::trim).filter(|fault| !fault.is_empty()).map(|fault| fault.split(':').collect()).collect();
    let stubborn = faults.iter().any(|fault| fault[0] == "stubborn");
    // SAFETY: the handler only calls `_exit`.
    unsafe { signal(SIGTERM, if stubborn { SIG_IGN } else { end as *const () as usize }) };
    let mut healthy = true;
    for fault in &faults {
        match &fault[..] {
            ["crash", code] => exit_with("the specimen was asked to crash", number(code)),
            ["crash-after", seconds, code] => {
                let (seconds, code) = (number(seconds), number(code));
                thread::spawn(move || {
                    sleep(seconds);
                    exit_with("the specimen was asked to crash later", code);
                });
            }
            ["once"] => exit_with("the specimen was asked to end", 0),
            ["silent"] => loop {
                sleep(3600);
            },
            ["unhealthy"] => healthy = false,
            ["slow", seconds] => sleep(number(seconds)),
            ["stubborn"] => {}
            ["wait", host, port] => {
                while !answers(host, port) {
                    thread::sleep(Duration::from_millis(200));
                }
            }
            ["needs", host, port] => {
                if !answers(host, port) {
                    exit_with(&format!("cannot connect to {host}:{port}"), 1);
                }
            }
            ["database", seconds] => {
                sleep(number(seconds));
                for connection in listen(5432).incoming() {
                    drop(connection);
                }
            }
            other => exit_with(&format!("unknown fault {}", other.join(":")), 64),
        }
    }
    let port = number(&setting("SPECIMEN_PORT", "80"));
    let listener = listen(port);
    println!("the specimen listens on port {port}");
    for connection in listener.incoming().flatten() {
        thread::spawn(move || {
            let _ = connection.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = serve(connection, healthy);
        });
    }
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_else(|_| exit_with(&format!("{text:?} is not a number"), 64))
}

fn sleep(seconds: i32) {
    thread::sleep(Duration::from_secs(seconds.unsigned_abs().into()));
}

/// Writes a line to standard error and exits.
fn exit_with(line: &str, code: i32) -> ! {
    eprintln!("{line}");
    exit(code)
}

fn listen(port: i32) -> TcpListener {
    let port = u16::try_from(port).unwrap_or(80);
    TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| exit_with(&format!("cannot listen on port {port}: {error}"), 1))
}

fn answers(host: &str, port: &str) -> bool {
    TcpStream::connect(format!("{host}:{port}")).is_ok()
}

/// Whether the address accepts a connection in time. Names that do not resolve yet and closed ports are retried.
fn connects(address: &str, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        if found.is_some_and(|address| TcpStream::connect_timeout(&address, left.min(Duration::from_secs(1))).is_ok()) {
            return true;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a page answers 200, and its status or the error.
fn probe(url: &str) -> (bool, String) {
    let Some((authority, path)) = url.strip_prefix("http://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) else {
        return (false, "not a URL".into());
    };
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let request = || -> io::Result<String> {
        let mut stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim().split_once(' ').unwrap_or_default().1.to_owned())
    };
    match request() {
        Ok(status) => (status.starts_with("200"), status),
        Err(error) => (false, error.to_string()),
    }
}

fn serve(mut connection: TcpStream, healthy: bool) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.take(u64::min(length, LARGEST_BODY)).read_to_end(&mut body)?;
    let mut fields = request.split_whitespace();
    let (method, target) = (fields.next().unwrap_or(""), fields.next().unwrap_or("/"));
    let (status, kind, content) = answer(method, target.split('?').next().unwrap_or("/"), &body, healthy);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nServer: specimen/{}\r\n\
         Connection: close\r\n\r\n",
        content.len(),
        setting("SPECIMEN_VERSION", "0")
    );
    connection.write_all(head.as_bytes())?;
    if method != "HEAD" {
        connection.write_all(&content)?;
    }
    Ok(())
}

type Answer = (&'static str, &'static str, Vec<u8>);

fn answer(method: &str, path: &str, body: &[u8], healthy: bool) -> Answer {
    let plain = |status, text: &str| (status, "text/plain", format!("{text}\n").into_bytes());
    let method = if method == "HEAD" { "GET" } else { method };
    match (method, path) {
        ("GET", "/") => ("200 OK", "text/html", page().into_bytes()),
        ("GET", "/health") if healthy => plain("200 OK", "ok"),
        ("GET", "/health") => plain("500 Internal Server Error", "not healthy"),
        ("GET", "/posts") => plain("200 OK", &posts().join("\n")),
        ("POST", "/posts") => match store(body) {
            Ok(id) => plain("201 Created", &id.to_string()),
            Err(error) => plain("500 Internal Server Error", &error.to_string()),
        },
        (_, path) => match (method, path.strip_prefix("/posts/").and_then(|id| id.parse::<u64>().ok())) {
            ("GET", Some(id)) => match fs::read(folder().join(id.to_string())) {
                Ok(post) => ("200 OK", "text/plain", post),
                Err(_) => plain("404 Not Found", "no such post"),
            },
            ("DELETE", Some(id)) => match fs::remove_file(folder().join(id.to_string())) {
                Ok(()) => plain("200 OK", "deleted"),
                Err(_) => plain("404 Not Found", "no such post"),
            },
            _ => plain("404 Not Found", "no such page"),
        },
    }
}

fn page() -> String {
    let (name, version) = (setting("SPECIMEN_NAME", "specimen"), setting("SPECIMEN_VERSION", "0"));
    let secret = if Path::new("/run/secrets").read_dir().is_ok_and(|mut dir| dir.next().is_some()) { "yes" } else { "no" };
    format!(
        "<!doctype html>\n<title>{name}</title>\n<h1>{name} {version}</h1>\n<p>Posts: {}</p>\n<p>Secret: {secret}</p>\n",
        posts().len()
    )
}

fn folder() -> PathBuf {
    setting("SPECIMEN_DATA", "/data").into()
}

fn posts() -> Vec<String> {
    let mut ids: Vec<u64> = folder()
        .read_dir()
        .map(|dir| dir.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    ids.sort_unstable();
    ids.iter().map(u64::to_string).collect()
}

/// Stores a post under the next free number; `create_new` decides between two writers.
fn store(body: &[u8]) -> io::Result<u64> {
    let mut id = posts().last().and_then(|last| last.parse::<u64>().ok()).unwrap_or(0) + 1;
    loop {
        match fs::File::create_new(folder().join(id.to_string())) {
            Ok(mut file) => {
                file.write_all(body)?;
                file.sync_all()?;
                return Ok(id);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => id += 1,
            Err(error) => return Err(error),
        }
    }
}
