//! Expansion of short forms of ports and mounts as in docker/cli.

/// A published port in short form: `[address:][published:]target[/protocol]`, numbers or ranges.
/// Docker ignores the address in stacks.
pub(super) fn ports(text: &str) -> Option<Vec<(u16, Option<u16>, String)>> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        _ => return None,
    };
    let (published, target) = match numbers.rsplit_once(':') {
        None => ("", numbers),
        Some((before, target)) => (before.rsplit_once(':').map_or(before, |(_, published)| published), target),
    };
    let (first, last) = range(target)?;
    if published.is_empty() {
        return Some((first..=last).map(|target| (target, None, protocol.clone())).collect());
    }
    let (from, to) = range(published)?;
    if last - first == to - from {
        return Some((first..=last).zip(from..=to).map(|(target, port)| (target, Some(port), protocol.clone())).collect());
    }
    // A range for one container port publishes each of its numbers.
    (first == last).then(|| (from..=to).map(|port| (first, Some(port), protocol.clone())).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
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
    let mut sections: Vec<String> = vec![String::new()];
    for c in text.chars() {
        let last = sections.last_mut().map_or(0, |last| last.chars().count());
        let drive = last == 1 && sections.last().is_some_and(|last| last.starts_with(char::is_alphabetic));
        match c {
            ':' if !drive => sections.push(String::new()),
            c => sections.last_mut().into_iter().for_each(|last| last.push(c)),
        }
    }
    if sections.iter().any(String::is_empty) {
        return Err("a mount without an empty section between colons");
    }
    match sections.as_slice() {
        [target] => mount.target.clone_from(target),
        [source, target] | [source, target, _] => (mount.source, mount.target) = (source.clone(), target.clone()),
        _ => return Err("a mount with at most two colons"),
    }
    for option in sections.get(2).into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" => mount.nocopy = true,
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => mount.propagation = Some(option.to_owned()),
            _ => {}
        }
    }
    mount.bind = is_path(&mount.source);
    Ok(mount)
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || is_windows(source)
}

/// Whether a path begins with a Windows drive.
pub(super) fn is_windows(path: &str) -> bool {
    let mut chars = path.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ports_are_written_out() {
        for (text, expected) in [
            ("3000", vec![(3000, None, "tcp")]),
            ("8080:80", vec![(80, Some(8080), "tcp")]),
            ("64738:64738/udp", vec![(64738, Some(64738), "udp")]),
            ("127.0.0.1:80:8080", vec![(8080, Some(80), "tcp")]),
            ("127.0.0.1::8080", vec![(8080, None, "tcp")]),
            ("[::1]:80:8080", vec![(8080, Some(80), "tcp")]),
            ("3000-3001:4000-4001", vec![(4000, Some(3000), "tcp"), (4001, Some(3001), "tcp")]),
            ("8000-8001:80", vec![(80, Some(8000), "tcp"), (80, Some(8001), "tcp")]),
        ] {
            let read = ports(text).unwrap_or_else(|| panic!("{text}"));
            let read: Vec<_> =
                read.iter().map(|(target, published, protocol)| (*target, *published, protocol.as_str())).collect();
            assert_eq!(read, expected, "{text}");
        }
        for text in ["", "x", "80:", "70000", "9-8", "80/icmp", "80-81:80-82", "a:b"] {
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
}
