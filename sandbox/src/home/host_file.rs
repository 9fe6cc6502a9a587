//! What a run reads of the sandbox: the host file, and the two-line `abra`.

use std::{
    fs,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Home, files};
use crate::{error::SandboxError, layout::Setup};

/// The host file. The design of hosts says what its keys mean.
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

/// Writes both, where they differ from what is there.
pub(crate) fn write(home: &Home, setup: &Setup) -> Result<(), SandboxError> {
    let bin = home.bin();
    fs::create_dir_all(&bin).map_err(|error| SandboxError::file(&bin, error))?;
    let stand_in = bin.join("abra");
    files::replace(&stand_in, &script(&setup.exe, home.root()), 0o755)?;
    // The mode that a file is made with is cut by the umask.
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

/// The stand-in: two lines that call the binary.
fn script(exe: &Path, home: &Path) -> Vec<u8> {
    let mut out = b"#!/bin/sh\nexec ".to_vec();
    quote(exe, &mut out);
    out.extend_from_slice(b" sandbox abra --home ");
    quote(home, &mut out);
    out.extend_from_slice(b" -- \"$@\"\n");
    out
}

/// A path as one word of the shell.
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
    fn a_path_is_one_word_of_the_shell() {
        let text = script(Path::new("/opt/it's here/taster"), Path::new("/h"));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "#!/bin/sh\nexec '/opt/it'\\''s here/taster' sandbox abra --home '/h' -- \"$@\"\n"
        );
    }
}
