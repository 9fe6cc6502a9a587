//! The browser of the machine, which runs use for screenshots of apps and packs for tests of pages. It is optional.

use std::ffi::OsStr;

use super::programs::{find, run};

/// Debian's packages: a browser without a desktop, its driver, and the tool that makes it trust the sandbox's CA.
const PACKAGES: [&str; 3] = ["chromium-headless-shell", "chromium-driver", "libnss3-tools"];
/// The programs that a run needs, besides a browser.
const PROGRAMS: [&str; 2] = ["chromedriver", "certutil"];
/// Any of these is a browser.
const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Whether something is missing that this user can install.
pub(crate) fn is_installable() -> bool {
    let complete =
        PROGRAMS.iter().all(|program| find(program).is_some()) && BROWSERS.iter().any(|browser| find(browser).is_some());
    !complete && find("apt-get").is_some() && rustix::process::geteuid().is_root()
}

/// Installs the packages and returns a sentence about the result. A failure is not an error: a sandbox works without a browser.
pub(crate) async fn install() -> String {
    // Another process may be installing something.
    let args = ["-y", "-q", "--no-install-recommends", "-oDPkg::Lock::Timeout=120", "install"].into_iter().chain(PACKAGES);
    match run("apt-get", args.map(OsStr::new)).await {
        Ok(_) => "installed the browser".to_owned(),
        Err(error) => format!("the browser cannot be installed, so there are no screenshots: {}", error.with_causes()),
    }
}
