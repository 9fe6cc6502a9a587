//! The files of packages of the distribution, without installing the packages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{ProgramError, SandboxError},
    machine::programs::{find, run},
};

/// Unpacks the packages and their dependencies into `root`. Downloads stay in `cache`, so that the next call needs no
/// network. apt checks the signatures as for an installation.
pub(crate) async fn unpack(cache: &Path, packages: &[String], root: &Path) -> Result<(), SandboxError> {
    if find("apt-get").is_none() {
        return Err(SandboxError::program("apt-get", ProgramError::NotFound("images are assembled on Debian and Ubuntu only")));
    }
    let archives = archives(cache, packages).await?;
    fs::create_dir_all(root).map_err(|error| SandboxError::file(root, error))?;
    for archive in archives {
        run("dpkg-deb", ["-x".as_ref(), archive.as_os_str(), root.as_os_str()]).await?;
    }
    Ok(())
}

/// The package files; missing ones are downloaded.
async fn archives(cache: &Path, packages: &[String]) -> Result<Vec<PathBuf>, SandboxError> {
    let folder = cache.join("archives");
    let partial = folder.join("partial");
    fs::create_dir_all(&partial).map_err(|error| SandboxError::file(&partial, error))?;
    // With an empty status file apt assumes that nothing is installed, and so lists every dependency.
    let status = cache.join("nothing-installed");
    fs::write(&status, "").map_err(|error| SandboxError::file(&status, error))?;
    let apt = |archives: &Path, how: &str| {
        let set = |key: &str, value: &str| format!("-o{key}={value}");
        let args = [
            set("Dir::State::status", &status.display().to_string()),
            set("Dir::Cache::archives", &archives.display().to_string()),
            set("Dir::Cache::pkgcache", ""),
            set("Dir::Cache::srcpkgcache", ""),
            // No file of the system is written, so neither its lock nor its download user is needed.
            set("Debug::NoLocking", "true"),
            set("APT::Sandbox::User", ""),
        ];
        let verb = ["-qq", "-y", "--no-install-recommends", how, "install"].map(str::to_owned);
        run("apt-get", args.into_iter().chain(verb).chain(packages.iter().cloned()).collect::<Vec<_>>())
    };
    // With an empty folder of archives the plan lists all of them, and none of another image or version.
    let plan = apt(&partial, "--print-uris").await?;
    let files: Vec<PathBuf> = file_names(&String::from_utf8_lossy(&plan)).into_iter().map(|name| folder.join(name)).collect();
    if !files.iter().all(|file| file.is_file()) {
        apt(&folder, "--download-only").await?;
    }
    Ok(files)
}

/// The file names in what `apt-get --print-uris` prints: `'URI' NAME SIZE HASH`.
fn file_names(printed: &str) -> Vec<String> {
    printed
        .lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|name| name.ends_with(".deb") && !name.contains('/'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_plan_gives_package_files_only() {
        let printed = "'http://a.example/p/c/caddy_2.6.2-5_amd64.deb' caddy_2.6.2-5_amd64.deb 9326868 MD5Sum:c5\n\
                       'http://a.example/z/zlib1g_1.2.13_amd64.deb' zlib1g_1%3a1.2.13_amd64.deb 86684 \n\
                       W: something else\n'http://a.example/x' ../../etc/x.deb 1 \n";
        assert_eq!(file_names(printed), ["caddy_2.6.2-5_amd64.deb", "zlib1g_1%3a1.2.13_amd64.deb"]);
    }
}
