//! The arguments of each call, and the claim that covers it. Pure.

use std::path::Path;

use crate::{
    model::names::{Domain, StackName},
    ports::Call,
    pure::host::claim::{Claim, Claimed},
};

/// The arguments of `abra`: global flags, the command, its flags, positionals. Every version of abra accepts this order.
///
/// `-C` keeps abra from moving, fetching or linting the checkout, `-o` from contacting git remotes, `-c` from waiting, `-D` from
/// querying DNS (docs/reference/abra.md 4).
pub(super) fn argv(call: &Call) -> Vec<String> {
    let args: Vec<&str> = match call {
        Call::Version => vec!["--version"],
        Call::Fetch { recipe } => vec!["-n", "recipe", "fetch", recipe.as_str()],
        Call::New { recipe, domain, server } => {
            vec!["-n", "-o", "app", "new", "-C", "--server", server, "--domain", domain.as_str(), recipe.as_str()]
        }
        Call::SecretGenerate { domain, one } => {
            let which = match one {
                Some((secret, version)) => [domain.as_str(), secret, version].to_vec(),
                None => ["--all", domain.as_str()].to_vec(),
            };
            [&["-n", "-o", "app", "secret", "generate", "-C", "-m"], &which[..]].concat()
        }
        Call::SecretInsert { domain, name, version, file } => {
            let args = vec!["-n", "-o", "app", "secret", "insert", "-C", "-f", domain.as_str(), name, version];
            let file = file.to_string_lossy().into_owned();
            return args.into_iter().map(str::to_owned).chain([file]).collect();
        }
        Call::Deploy { domain, version } => {
            let which = match version {
                Some(version) => [domain.as_str(), version].to_vec(),
                None => ["-C", domain.as_str()].to_vec(),
            };
            [&["-n", "-o", "app", "deploy", "-c", "-D"], &which[..]].concat()
        }
        Call::Command { domain, service, function, args } => {
            let fixed = ["-n", "-o", "app", "command", "-C", domain.as_str(), service, function];
            let args = args.iter().map(String::as_str);
            fixed.into_iter().chain((args.len() > 0).then_some("--")).chain(args).collect()
        }
        Call::BackupCreate { domain } => vec!["-n", "-o", "app", "backup", "create", "-C", domain.as_str()],
        Call::BackupSnapshots { domain } => vec!["-n", "-o", "app", "backup", "snapshots", "-C", domain.as_str()],
        Call::BackupList { domain, snapshot } => {
            vec!["-n", "-o", "app", "backup", "list", "-C", "-s", snapshot, domain.as_str()]
        }
        Call::BackupDownload { domain, snapshot, path } => {
            vec!["-n", "-o", "app", "backup", "download", "-C", "-s", snapshot, "-p", path, domain.as_str()]
        }
        Call::Restore { domain, hooks: true } => vec!["-n", "-o", "app", "restore", "-C", "-H", domain.as_str()],
        Call::Restore { domain, hooks: false } => vec!["-n", "-o", "app", "restore", "-C", domain.as_str()],
        // Without `-C`: the checkout is on its own branch with itself as origin, so nothing moves it.
        Call::Lint { recipe, offline: false, .. } => vec!["-n", "recipe", "lint", recipe.as_str()],
        Call::Lint { recipe, offline: true, .. } => vec!["-n", "-o", "recipe", "lint", recipe.as_str()],
        Call::Undeploy { domain } => vec!["-n", "-o", "app", "undeploy", domain.as_str()],
    };
    args.into_iter().map(str::to_owned).collect()
}

/// The name of a call, in messages and file names.
pub(super) fn name(call: &Call) -> &'static str {
    match call {
        Call::Version => "version",
        Call::Fetch { .. } => "recipe-fetch",
        Call::New { .. } => "app-new",
        Call::SecretGenerate { .. } => "app-secret-generate",
        Call::SecretInsert { .. } => "app-secret-insert",
        Call::Deploy { .. } => "app-deploy",
        Call::Command { .. } => "app-command",
        Call::BackupCreate { .. } => "app-backup-create",
        Call::BackupSnapshots { .. } => "app-backup-snapshots",
        Call::BackupList { .. } => "app-backup-list",
        Call::BackupDownload { .. } => "app-backup-download",
        Call::Restore { .. } => "app-restore",
        Call::Lint { .. } => "recipe-lint",
        Call::Undeploy { .. } => "app-undeploy",
    }
}

/// Whether `claim` covers what the call changes.
pub(super) fn covered(call: &Call, claim: Option<&Claim>, abra_dir: &Path) -> bool {
    let what = claim.map(Claim::what);
    let stack = |domain: &Domain| matches!(what, Some(Claimed::Stack { name }) if *name == StackName::of(domain));
    let folder = |folder: &Path| matches!(what, Some(Claimed::Dir { path }) if folder.starts_with(path));
    let dir = || folder(abra_dir);
    match call {
        Call::Version | Call::BackupSnapshots { .. } | Call::BackupList { .. } | Call::BackupDownload { .. } => true,
        Call::BackupCreate { domain } => matches!(what, Some(Claimed::Snapshots { app, .. }) if app == domain),
        Call::Fetch { .. } => dir(),
        Call::Lint { abra_dir, .. } => folder(abra_dir),
        Call::New { domain, .. } => {
            stack(domain) || dir() || matches!(what, Some(Claimed::EnvFile { path }) if path.starts_with(abra_dir))
        }
        Call::SecretGenerate { domain, .. }
        | Call::SecretInsert { domain, .. }
        | Call::Deploy { domain, .. }
        | Call::Command { domain, .. }
        | Call::Restore { domain, .. }
        | Call::Undeploy { domain } => stack(domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(what: Claimed) -> Claim {
        Claim::new("20261121-101502-k3v5q2m7".parse().unwrap(), "swarm".parse().unwrap(), what)
    }

    #[test]
    fn arguments_are_in_the_order_that_abra_accepts() {
        let domain: Domain = "hello-aebagbaf.taster.test".parse().unwrap();
        let new = Call::New { recipe: "hello".parse().unwrap(), domain: domain.clone(), server: "default".into() };
        assert_eq!(argv(&new).join(" "), "-n -o app new -C --server default --domain hello-aebagbaf.taster.test hello");
        let (name, version, file) = ("key".to_owned(), "v1".to_owned(), "/run/secret".into());
        let insert = Call::SecretInsert { domain: domain.clone(), name, version, file };
        assert_eq!(argv(&insert).join(" "), "-n -o app secret insert -C -f hello-aebagbaf.taster.test key v1 /run/secret");
        for (version, expected) in [
            (None, "-n -o app deploy -c -D -C hello-aebagbaf.taster.test"),
            (Some("1.0.0+1.0.0".to_owned()), "-n -o app deploy -c -D hello-aebagbaf.taster.test 1.0.0+1.0.0"),
        ] {
            assert_eq!(argv(&Call::Deploy { domain: domain.clone(), version }).join(" "), expected);
        }
        let command = |args: &[&str]| Call::Command {
            domain: domain.clone(),
            service: "app".into(),
            function: "migrate".into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        };
        for (args, expected) in [
            (&[][..], "-n -o app command -C hello-aebagbaf.taster.test app migrate"),
            (&["--all", "x"], "-n -o app command -C hello-aebagbaf.taster.test app migrate -- --all x"),
        ] {
            assert_eq!(argv(&command(args)).join(" "), expected);
        }
        for (one, expected) in [
            (None, "-n -o app secret generate -C -m --all hello-aebagbaf.taster.test"),
            (Some(("key".to_owned(), "v2".to_owned())), "-n -o app secret generate -C -m hello-aebagbaf.taster.test key v2"),
        ] {
            assert_eq!(argv(&Call::SecretGenerate { domain: domain.clone(), one }).join(" "), expected);
        }
    }

    #[test]
    fn claim_covers_calls_on_its_own_stack_or_folder_only() {
        let deploy = Call::Deploy { domain: "a-aebagbaf.taster.test".parse().unwrap(), version: None };
        let stack = |name: &str| claim(Claimed::Stack { name: name.parse().unwrap() });
        let dir = claim(Claimed::Dir { path: "/runs/1/abra".into() });
        let lint = Call::Lint { recipe: "a".parse().unwrap(), abra_dir: "/runs/1/lint-head".into(), offline: false };
        for (call, claim, covers) in [
            (&deploy, Some(stack("a-aebagbaf_taster_test")), true),
            (&deploy, Some(stack("a-aebagbaf_taster_tes")), false),
            (&deploy, Some(dir.clone()), false),
            (&deploy, None, false),
            (&lint, Some(dir.clone()), false),
            (&Call::Fetch { recipe: "a".parse().unwrap() }, Some(dir), true),
            (&lint, Some(claim(Claimed::Dir { path: "/runs/1/lint-head".into() })), true),
            (&lint, Some(claim(Claimed::Dir { path: "/runs/1/lint".into() })), false),
            (&Call::Version, None, true),
        ] {
            assert_eq!(covered(call, claim.as_ref(), Path::new("/runs/1/abra")), covers, "{call:?} under {claim:?}");
        }
    }
}
