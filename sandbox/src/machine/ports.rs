//! The process that listens on a port of this machine.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A listening socket, from `/proc/net/tcp` or `tcp6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The address; the unspecified one stands for all.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The socket's inode, by which `/proc/<pid>/fd` refers to it.
    pub inode: u64,
}

/// The listening sockets in a table of the kernel. Lines that cannot be parsed are skipped.
pub fn listeners(table: &str) -> Vec<Listener> {
    table.lines().skip(1).filter_map(listener).collect()
}

fn listener(line: &str) -> Option<Listener> {
    /// `TCP_LISTEN` in the kernel.
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != LISTEN {
        return None;
    }
    // The kernel prints each four bytes as a number in the byte order of the machine.
    let mut bytes = Vec::new();
    for word in 0..address.len() / 8 {
        let word = u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(Listener { address, port: u16::from_str_radix(port, 16).ok()?, inode: fields.get(9)?.parse().ok()? })
}

impl Listener {
    /// Whether it prevents another socket from listening on `port` of `address`.
    pub fn blocks(&self, address: IpAddr, port: u16) -> bool {
        let mapped = match self.address {
            IpAddr::V6(own) => own.to_ipv4_mapped().map_or(self.address, IpAddr::V4),
            IpAddr::V4(_) => self.address,
        };
        self.port == port && (mapped == address || mapped.is_unspecified())
    }
}

/// The name and number of the process that listens on `port` of `address`, or as much as this user can see of it.
pub fn blocker(address: IpAddr, port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let all = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).flat_map(|table| listeners(&table));
    let found = all.into_iter().find(|listener| listener.blocks(address, port))?;
    Some(owner(found.inode).unwrap_or_else(|| "a process of another user".to_owned()))
}

fn owner(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        if open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())) {
            let program = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", program.trim()));
        }
    }
    None
}
