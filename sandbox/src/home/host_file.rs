//! The two files by which a run uses the sandbox: the host file, and the two-line `abra`.

use std::{
    fs,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Home, files};
use crate::{error::SandboxError, layout::Setup};

/// The host file; docs/reference/host-file.md describes its keys.
#[derive(Debug, Serialize)]
struct HostFile<'a> {
    zone: &'a str,
    abra: PathBuf,
    server: &'static str,
    engine: &'a Path,
    ingress: SocketAddr,
    ca: PathBuf,
    backup: String,
}

/// Writes both files, where they differ from what is there.
pub(crate) fn write(home: &Home, setup: &Setup) -> Result<(), SandboxError> {
    let bin = home.bin();
    fs::create_dir_all(&bin).map_err(|error| SandboxError::file(&bin, error))?;
    let stand_in = bin.join("abra");
    files::replace(&stand_in, &script(&setup.exe, home.root()), 0o755)?;
    // The umask takes bits from the mode that a file is created with.
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).map_err(|error| SandboxError::file(&stand_in, error))?;
    let file = HostFile {
        zone: &setup.layout.zone,
        abra: setup.abra.clone().unwrap_or(stand_in),
        server: "default",
        engine: &setup.layout.engine,
        ingress: setup.layout.ingress_address(),
        ca: home.ca(),
        backup: setup.layout.backup_name(),
    };
    files::write(&home.host_file(), &file)
}

/// The stand-in abra: two lines of shell that call taster.
fn script(exe: &Path, home: &Path) -> Vec<u8> {
    let mut out = b"#!/bin/sh\nexec ".to_vec();
    quote(exe, &mut out);
    out.extend_from_slice(b" sandbox abra --home ");
    quote(home, &mut out);
    out.extend_from_slice(b" -- \"$@\"\n");
    out
}

/// Appends a path as one quoted word of the shell.
fn quote(path: &Path, out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            other => out.push(*other),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_quotes_is_one_shell_word() {
        let text = script(Path::new("/opt/it's here/taster"), Path::new("/h"));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "#!/bin/sh\nexec '/opt/it'\\''s here/taster' sandbox abra --home '/h' -- \"$@\"\n"
        );
    }
}
