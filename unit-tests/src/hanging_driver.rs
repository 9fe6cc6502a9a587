//! A driver of volumes that makes them and never mounts one, as a network file system whose server is gone.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Its name.
pub const NAME: &str = "hanging";

/// A driver of the engine that looks for drivers in a certain folder, until it is dropped.
#[derive(Debug)]
pub struct HangingDriver {
    socket: PathBuf,
    asked: Arc<AtomicBool>,
}

impl HangingDriver {
    /// Starts one for the engine that looks in `plugins`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(plugins: &Path) -> Self {
        let socket = plugins.join(format!("{NAME}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(AtomicBool::new(false));
        let mounts = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mounts = mounts.clone();
                thread::spawn(move || serve(&stream, &mounts));
            }
        });
        Self { socket, asked }
    }

    /// Whether it was asked to mount one.
    pub fn asked_to_mount(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for HangingDriver {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// Answers the requests on one connection. A mount is never answered.
fn serve(stream: &UnixStream, mounts: &AtomicBool) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        (reader.read_line(&mut first).ok()? > 0).then_some(())?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = match first.split(' ').nth(1)? {
            "/Plugin.Activate" => serde_json::json!({"Implements": ["VolumeDriver"]}),
            "/VolumeDriver.Capabilities" => serde_json::json!({"Capabilities": {"Scope": "local"}}),
            "/VolumeDriver.Get" => serde_json::json!({"Volume": {"Name": body["Name"], "Mountpoint": ""}, "Err": ""}),
            "/VolumeDriver.List" => serde_json::json!({"Volumes": [], "Err": ""}),
            "/VolumeDriver.Path" => serde_json::json!({"Mountpoint": "", "Err": ""}),
            "/VolumeDriver.Mount" => {
                mounts.store(true, Ordering::Relaxed);
                thread::park();
                return None;
            }
            _ => serde_json::json!({"Err": ""}),
        };
        let text = answer.to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        (&*stream).write_all((head + &text).as_bytes()).ok()?;
    }
}
