//! The programs that a browser test needs, and where they are.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::model::protocol::Tools;

/// The browsers, the one that starts fastest first.
const BROWSERS: [&str; 6] =
    ["chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The folders of distributions besides `PATH`. The program in Debian's `PATH` is a script that adds flags for a desktop.
const FOLDERS: [&str; 5] =
    ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib64/chromium-browser", "/opt/google/chrome", "/usr/bin"];

/// The programs in the usual folders and in `path`, a list of folders like `PATH`.
pub fn find(path: &OsStr) -> Tools {
    let of_path: Vec<PathBuf> = std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
    let usual: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    let in_order = |first: &[PathBuf], second: &[PathBuf], name: &str| {
        first.iter().chain(second).map(|folder| folder.join(name)).find(|file| is_executable(file))
    };
    Tools {
        driver: in_order(&of_path, &usual, "chromedriver"),
        browser: BROWSERS.iter().find_map(|name| in_order(&usual, &of_path, name)),
        certutil: in_order(&of_path, &usual, "certutil"),
    }
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// A sentence that names the missing programs. `trusts` says whether the browser has to trust a CA of the host.
pub fn missing(tools: &Tools, trusts: bool) -> Option<String> {
    let wanted = [
        (tools.browser.is_some(), "Chromium"),
        (tools.driver.is_some(), "chromedriver"),
        (!trusts || tools.certutil.is_some(), "certutil, with which the browser learns to trust the host's CA"),
    ];
    let missing: Vec<&str> = wanted.iter().filter(|(there, _)| !there).map(|(_, name)| *name).collect();
    (!missing.is_empty()).then(|| format!("there is no {}", missing.join(", no ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_named() {
        let there = |name: &str| Some(PathBuf::from(name));
        let all = Tools { driver: there("/d"), browser: there("/b"), certutil: there("/c") };
        let without = Tools { certutil: None, ..all.clone() };
        for (what, tools, trusts, expected) in [
            ("all programs", all.clone(), true, None),
            ("no CA of the host", without.clone(), false, None),
            (
                "a CA of the host",
                without,
                true,
                Some("there is no certutil, with which the browser learns to trust the host's CA"),
            ),
            ("no driver", Tools { driver: None, ..all }, true, Some("there is no chromedriver")),
            ("nothing", Tools::default(), false, Some("there is no Chromium, no chromedriver")),
        ] {
            assert_eq!(missing(&tools, trusts).as_deref(), expected, "{what}");
        }
    }

    #[test]
    fn file_without_execute_permission_is_not_found() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certutil");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_ne!(find(folder.path().as_os_str()).certutil, Some(file.clone()));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(folder.path().as_os_str()).certutil, Some(file));
    }
}
