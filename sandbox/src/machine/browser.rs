//! The browser of the machine, by which runs take pictures of apps and packs test pages. The sandbox can be without one.

use std::ffi::OsStr;

use super::programs::{find, run};

/// Debian's packages: a browser without a desktop, what drives it, and what tells it of the sandbox's CA.
const PACKAGES: [&str; 3] = ["chromium-headless-shell", "chromium-driver", "libnss3-tools"];
/// The programs that are looked for.
const PROGRAMS: [&str; 2] = ["chromedriver", "certutil"];
/// Any of these is a browser.
const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Whether there is something to install, and this user can do it.
pub(crate) fn wanted() -> bool {
    let there = PROGRAMS.iter().all(|program| find(program).is_some()) && BROWSERS.iter().any(|browser| find(browser).is_some());
    !there && find("apt-get").is_some() && rustix::process::geteuid().is_root()
}

/// Installs it, and says in a sentence what came of that. A machine on which it cannot be had is a sandbox all the same.
pub(crate) async fn install() -> String {
    // Somebody else may be installing something.
    let args = ["-y", "-q", "--no-install-recommends", "-oDPkg::Lock::Timeout=120", "install"].into_iter().chain(PACKAGES);
    match run("apt-get", args.map(OsStr::new)).await {
        Ok(_) => "installed the browser".to_owned(),
        Err(error) => format!("there is no browser, and so no picture of an app: {}", error.with_causes()),
    }
}
