//! The machine that taster runs on.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs::File,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use procfs::{
    Current, Meminfo,
    net::{TcpState, UdpState},
};
use rustix::{
    fs::StatVfsMountFlags,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    adapters::{files::Disk, swarm::DockerSwarm},
    model::{
        engine::{Port, ServiceAddress},
        load::Load,
        names::SwarmId,
    },
    ports::{Files, Machine, MachineError, Swarm},
};

/// The socket behind docker's own default context, which is what abra calls `default` (docs/reference/abra.md 2).
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The machine, by `/proc` and its file systems.
#[derive(Debug, Clone)]
pub struct LocalMachine {
    /// The folder of the docker client's settings, which hold abra's servers.
    docker: PathBuf,
    /// The operator's abra folder.
    abra: PathBuf,
}

impl LocalMachine {
    /// The machine for a user with this home and this abra folder.
    pub fn of(home: &Path, abra: &Path) -> Self {
        Self { docker: home.join(".docker"), abra: abra.to_owned() }
    }

    /// The endpoint of a context of the docker client.
    fn endpoint(&self, context: &str) -> Result<String, MachineError> {
        let folder = data_encoding::HEXLOWER.encode(&Sha256::digest(context));
        let file = self.docker.join("contexts/meta").join(folder).join("meta.json");
        let text = std::fs::read_to_string(&file).map_err(|error| match error.kind() {
            ErrorKind::NotFound => MachineError::NoContext { context: context.to_owned() },
            _ => unreadable(&file)(error),
        })?;
        let meta: Meta = serde_json::from_str(&text).map_err(unreadable(&file))?;
        Ok(meta.endpoints.docker.host)
    }

    /// The current context of the docker client; `None` for the default one.
    fn current_context(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.docker.join("config.json")).ok()?;
        let config: Config = serde_json::from_str(&text).ok()?;
        config.current_context.filter(|context| !context.is_empty() && context != "default")
    }
}

/// The docker client's file about a context.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    current_context: Option<String>,
}

#[async_trait]
impl Machine for LocalMachine {
    fn env_files(&self) -> Result<BTreeMap<PathBuf, String>, MachineError> {
        let mut files = Vec::new();
        for server in entries(&self.abra.join("servers"))? {
            files.extend(
                entries(&server)?.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "env")),
            );
        }
        Ok(Disk.digests(&files))
    }

    fn name(&self) -> (String, String) {
        let uname = rustix::system::uname();
        (uname.nodename().to_string_lossy().into_owned(), uname.release().to_string_lossy().into_owned())
    }

    fn boot(&self) -> Option<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(boot.trim().to_owned())
    }

    fn memory(&self) -> Option<u64> {
        Meminfo::current().ok()?.mem_available
    }

    fn load(&self) -> Option<Load> {
        Load::parse(&std::fs::read_to_string("/proc/loadavg").ok()?)
    }

    fn free_bytes_in(&self, folder: &Path) -> Option<u64> {
        let existing = folder.ancestors().find(|folder| folder.exists())?;
        let system = rustix::fs::statvfs(existing).ok()?;
        if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Some(0);
        }
        system.f_bavail.checked_mul(system.f_frsize)
    }

    fn listening(&self) -> BTreeSet<Port> {
        let tcp = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
        let tcp = tcp.filter(|entry| entry.state == TcpState::Listen).map(|entry| (entry.local_address, false));
        let udp = [procfs::net::udp(), procfs::net::udp6()].into_iter().flatten().flatten();
        let udp = udp.filter(|entry| entry.state == UdpState::Close).map(|entry| (entry.local_address, true));
        tcp.chain(udp).map(|(address, udp)| Port { number: address.port(), udp }).collect()
    }

    fn ipvs(&self) -> bool {
        // The engine loads the module for the first container on an overlay network.
        Path::new("/proc/net/ip_vs").exists()
    }

    async fn answers(&self, address: &ServiceAddress, timeout: Duration) -> Result<bool, MachineError> {
        let (from, to) = (PathBuf::from(format!("/proc/{}/ns/net", address.from)), address.at);
        // A separate thread enters the network and ends after one connection, so that the process stays in its own network.
        let attempt = tokio::task::spawn_blocking(move || {
            std::thread::spawn(move || connect_from(&from, to, timeout)).join().unwrap_or(Err(MachineError::Panicked))
        });
        attempt.await.unwrap_or(Err(MachineError::Panicked))
    }

    async fn behind(&self, server: &str) -> Result<SwarmId, MachineError> {
        let context = if server == "default" { self.current_context() } else { Some(server.to_owned()) };
        let socket = match context {
            None => DEFAULT_SOCKET.to_owned(),
            Some(context) => {
                let host = self.endpoint(&context)?;
                host.strip_prefix("unix://")
                    .map(str::to_owned)
                    .ok_or_else(|| MachineError::NoSocket { context, endpoint: host.clone() })?
            }
        };
        let silent = |source| MachineError::Engine { socket: socket.clone(), source };
        let swarm = DockerSwarm::at(Path::new(&socket)).map_err(silent)?;
        let engine = swarm.host().await.map_err(silent)?;
        engine.swarm.ok_or(MachineError::NoSwarm { socket })
    }
}

/// A file or folder that cannot be read.
fn unreadable<E: Into<Box<dyn Error + Send + Sync>>>(path: &Path) -> impl Fn(E) -> MachineError + Copy + '_ {
    move |error| MachineError::Unreadable { path: path.to_owned(), source: error.into() }
}

/// The entries of a folder; none if it does not exist or is not a folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, MachineError> {
    let unread = unreadable(folder);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(unread)).collect(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(unread(error)),
    }
}

/// Whether a connection from within a network is answered. A refusal is an answer too.
fn connect_from(network: &Path, to: SocketAddr, timeout: Duration) -> Result<bool, MachineError> {
    let entered = File::open(network)
        .and_then(|link| move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network)).map_err(std::io::Error::from));
    entered.map_err(|error| MachineError::Network { path: network.to_owned(), source: error.into() })?;
    match TcpStream::connect_timeout(&to, timeout) {
        Ok(_) => Ok(true),
        Err(error) => Ok(error.kind() == ErrorKind::ConnectionRefused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_of_the_docker_client_leads_to_its_endpoint() {
        let home = tempfile::tempdir().unwrap();
        let machine = LocalMachine::of(home.path(), &home.path().join(".abra"));
        assert_eq!(machine.current_context(), None);
        assert_eq!(machine.endpoint("far").unwrap_err().to_string(), "the docker client has no context far");
        let meta = home.path().join(".docker/contexts/meta").join(data_encoding::HEXLOWER.encode(&Sha256::digest("far")));
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Name":"far","Endpoints":{"docker":{"Host":"ssh://far.example.org"}}}"#)
            .unwrap();
        std::fs::write(home.path().join(".docker/config.json"), r#"{"currentContext":"far","auths":{}}"#).unwrap();
        assert_eq!(machine.current_context().as_deref(), Some("far"));
        assert_eq!(machine.endpoint("far").unwrap(), "ssh://far.example.org");
    }

    #[test]
    fn env_files_are_listed_or_the_unreadable_folder_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let machine = LocalMachine::of(home.path(), &home.path().join(".abra"));
        assert_eq!(machine.env_files().unwrap(), BTreeMap::new(), "abra was never used here");
        let servers = home.path().join(".abra/servers");
        std::fs::create_dir_all(servers.join("default")).unwrap();
        std::fs::write(servers.join("README"), "not a server").unwrap();
        for file in ["shop.example.org.env", "notes.txt"] {
            std::fs::write(servers.join("default").join(file), "x").unwrap();
        }
        let listed = machine.env_files().unwrap();
        assert_eq!(listed.into_keys().collect::<Vec<_>>(), [servers.join("default/shop.example.org.env")]);
        std::os::unix::fs::symlink("circle", servers.join("circle")).unwrap();
        assert!(machine.env_files().unwrap_err().to_string().starts_with("cannot read "), "a circle of links leads nowhere");
    }

    #[test]
    fn listening_ports_and_free_space_are_found() {
        let home = tempfile::tempdir().unwrap();
        let machine = LocalMachine::of(home.path(), &home.path().join(".abra"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(machine.listening().contains(&Port { number, udp: false }));
        drop(listener);
        assert!(!machine.listening().contains(&Port { number, udp: false }));
        assert!(machine.free_bytes_in(&home.path().join("not/yet/there")).is_some_and(|bytes| bytes > 0));
        assert!(machine.memory().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn connection_from_within_a_network_is_answered() {
        let own = PathBuf::from("/proc/self/ns/net");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        // Entering a network needs root, even for the own one.
        if let Err(error) = connect_from(&own, at, Duration::from_secs(5)) {
            assert!(matches!(error, MachineError::Network { .. }), "{error}");
            return;
        }
        assert!(connect_from(&own, at, Duration::from_secs(5)).unwrap());
        drop(listener);
        assert!(connect_from(&own, at, Duration::from_secs(5)).unwrap(), "a refusal is an answer");
    }
}
