//! Expansion of short forms of ports, mounts and commands as in docker/cli and its libraries.

use std::net::IpAddr;

/// The form of a short port, for messages.
pub(super) const PORT_FORM: &str = "a port such as 8080:80, 8080:80/udp or 8000-8001:80-81";

/// A published port in short form: `[address:][published:]target[/protocol]`, numbers or ranges, as `nat.ParsePortSpec` reads it:
/// target, published number (0 for none) and protocol. Docker ignores the address in stacks.
pub(super) fn ports(text: &str) -> Option<Vec<(u16, u16, String)>> {
    let mut parts = text.rsplitn(3, ':');
    let (container, published, address) = (parts.next()?, parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut parts = container.split('/');
    let (target, protocol) = (parts.next()?, parts.next().unwrap_or_default());
    let address = match address.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => address,
    };
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        return None;
    }
    let (first, last) = range(target)?;
    let protocol = match protocol.to_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        _ => return None,
    };
    let mut ports: Vec<(u16, u16, String)> = match published {
        "" => (first..=last).map(|target| (target, 0, protocol.clone())).collect(),
        published => {
            let (from, to) = range(published)?;
            match last - first == to - from {
                true => (first..=last).zip(from..=to).map(|(target, port)| (target, port, protocol.clone())).collect(),
                // A range for one container port publishes each of its numbers.
                false if first == last => (from..=to).map(|port| (first, port, protocol.clone())).collect(),
                false => return None,
            }
        }
    };
    // Docker sorts the container's ports as texts.
    ports.sort_by_key(|(target, _, _)| target.to_string());
    Some(ports)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
    // Docker reads no third part.
    let mut parts = text.split('-');
    let first = number(parts.next()?)?;
    let last = parts.next().map_or(Some(first), number)?;
    (first <= last).then_some((first, last))
}

/// A mount in short form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShortMount {
    pub(super) bind: bool,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) read_only: bool,
    pub(super) nocopy: bool,
    pub(super) propagation: Option<String>,
}

/// Parses `[source:]target[:options]`. One letter before a colon counts as a Windows drive, on every system.
pub(super) fn mount(text: &str) -> Result<ShortMount, &'static str> {
    let mut mount = ShortMount::default();
    if text.len() <= 2 {
        mount.target = text.to_owned();
        return if text.is_empty() { Err("a mount, which is not empty") } else { Ok(mount) };
    }
    // Docker's marker of the end is NUL, so that a text may have several ends.
    let mut section = String::new();
    for c in text.chars().chain(['\0']) {
        let drive = c == ':' && section.chars().count() == 1 && section.starts_with(char::is_alphabetic);
        if drive || !matches!(c, ':' | '\0') {
            section.push(c);
            continue;
        }
        let value = std::mem::take(&mut section);
        match (mount.source.is_empty(), mount.target.is_empty()) {
            _ if value.is_empty() => return Err("a mount without an empty section between colons"),
            (true, _) if c == '\0' => mount.target = value,
            (true, _) => mount.source = value,
            (false, true) => mount.target = value,
            (false, false) if c == ':' => return Err("a mount with at most two colons"),
            (false, false) => options(&mut mount, &value),
        }
    }
    mount.bind = is_path(&mount.source);
    Ok(mount)
}

fn options(mount: &mut ShortMount, options: &str) {
    for option in options.split(',') {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" => mount.nocopy = true,
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => mount.propagation = Some(option.to_owned()),
            _ => {}
        }
    }
}

fn is_path(source: &str) -> bool {
    let mut chars = source.chars();
    let drive = chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':');
    source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || drive
}

/// Whether Docker takes a path for an absolute one of Windows: a drive and a slash, or a server with a share.
pub(super) fn is_windows_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let slash = |at: usize| bytes.get(at).is_some_and(|byte| matches!(byte, b'\\' | b'/'));
    if bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        return slash(2);
    }
    if bytes.len() < 5 || !slash(0) || !slash(1) || slash(2) || bytes[2] == b'.' {
        return false;
    }
    let Some(share) = (3..bytes.len() - 1).find(|at| slash(*at)).map(|at| at + 1) else { return false };
    if slash(share) || bytes[share] == b'.' {
        return false;
    }
    (share..bytes.len()).any(slash)
}

/// The words of a command as `shlex.Split` finds them; absent when a quote or an escape is not finished.
pub(super) fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => {
                chars.by_ref().find(|c| *c == '\n');
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ports_are_written_out() {
        for (text, expected) in [
            ("3000", vec![(3000, 0, "tcp")]),
            ("8080:80", vec![(80, 8080, "tcp")]),
            ("64738:64738/udp", vec![(64738, 64738, "udp")]),
            ("127.0.0.1:80:8080", vec![(8080, 80, "tcp")]),
            ("127.0.0.1::8080", vec![(8080, 0, "tcp")]),
            ("[::1]:80:8080", vec![(8080, 80, "tcp")]),
            ("::1:80:8080", vec![(8080, 80, "tcp")]),
            ("80/", vec![(80, 0, "tcp")]),
            ("80/UDP/x", vec![(80, 0, "udp")]),
            ("80-81-x", vec![(80, 0, "tcp"), (81, 0, "tcp")]),
            ("9-10", vec![(10, 0, "tcp"), (9, 0, "tcp")]),
            ("3000-3001:4000-4001", vec![(4000, 3000, "tcp"), (4001, 3001, "tcp")]),
            ("8000-8001:80", vec![(80, 8000, "tcp"), (80, 8001, "tcp")]),
        ] {
            let read = ports(text).unwrap_or_else(|| panic!("{text}"));
            let read: Vec<_> =
                read.iter().map(|(target, published, protocol)| (*target, *published, protocol.as_str())).collect();
            assert_eq!(read, expected, "{text}");
        }
        for text in ["", "x", "80:", "70000", "9-8", "80/icmp", "80-81:80-82", "a:b", "256.1.1.1:80:80", "x:80:80", "+80", "/tcp"]
        {
            assert_eq!(ports(text), None, "{text}");
        }
    }

    #[test]
    fn short_mounts_are_written_out() {
        let volume =
            |source: &str, target: &str| ShortMount { source: source.into(), target: target.into(), ..ShortMount::default() };
        for (text, expected) in [
            ("/data", volume("", "/data")),
            ("data:/data", volume("data", "/data")),
            ("data:/data:ro,nocopy", ShortMount { read_only: true, nocopy: true, ..volume("data", "/data") }),
            ("./conf:/conf", ShortMount { bind: true, ..volume("./conf", "/conf") }),
            ("~/conf:/conf", ShortMount { bind: true, ..volume("~/conf", "/conf") }),
            ("/:/host:rslave", ShortMount { bind: true, propagation: Some("rslave".into()), ..volume("/", "/host") }),
            ("data:/data:unheard-of", volume("data", "/data")),
            // A Windows drive, on every system.
            ("a:/b", volume("", "a:/b")),
        ] {
            assert_eq!(mount(text).as_ref(), Ok(&expected), "{text}");
        }
        for text in ["", "data::/x", "data:/a:ro:more", ":/data"] {
            assert!(mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commands_are_split_as_by_shlex() {
        for (text, expected) in [
            ("a b", vec!["a", "b"]),
            ("a 'b c' \"d\\e\"", vec!["a", "b c", "de"]),
            ("a#b # c\nd", vec!["a#b", "d"]),
            ("'' x\\ y", vec!["", "x y"]),
            ("", vec![]),
        ] {
            assert_eq!(
                split_words(text).as_deref(),
                Some(expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice()),
                "{text}"
            );
        }
        for text in ["'a", "\"a", "a\\"] {
            assert_eq!(split_words(text), None, "{text}");
        }
    }

    #[test]
    fn windows_paths_are_absolute_with_a_slash_or_a_share() {
        for path in ["C:\\x", "c:/x", "\\\\server\\share\\x"] {
            assert!(is_windows_absolute(path), "{path}");
        }
        for path in ["C:x", "C:", "\\\\server", "\\\\server\\share", "/x", "x"] {
            assert!(!is_windows_absolute(path), "{path}");
        }
    }
}
