//! What the errors of an engine and the answers of a registry say about a task.
//!
//! The texts are those of engine 20.10 and of the line 27 to 29, and of runc, containerd and the registries behind them
//! (docs/reference/swarm.md 2). A text that no rule knows is never the recipe's fault.

use crate::model::task_fault::TaskFault::{
    self, BadCommand, BadMount, BadOption, EngineRefused, Exited, ImageAbsent, ImagePlatform, ImageUnknown, RegistryLimit,
    RegistryLogin, RegistryUnreachable, Unhealthy,
};

/// A fault, and the parts that a text has in any order when it means that fault, in lower case.
type Rule = (TaskFault, &'static [&'static str]);

/// What keeps a task from running. The first rule that fits counts.
const REFUSALS: &[Rule] = &[
    (ImageAbsent, &["no such image"]),
    (BadMount, &["invalid mount config"]),
    (BadMount, &["bind source path does not exist"]),
    (BadMount, &["invalid volume specification"]),
    (BadMount, &["invalid mount path"]),
    (BadMount, &["mount path must be absolute"]),
    (BadMount, &["duplicate mount point"]),
    (BadMount, &["trying to mount a directory onto a file"]),
    (BadCommand, &["exec: ", "executable file not found"]),
    (BadCommand, &["exec: ", "no such file or directory"]),
    (BadCommand, &["exec: ", "permission denied"]),
    (BadCommand, &["exec: ", "is a directory"]),
    (BadCommand, &["exec ", "exec format error"]),
    (BadCommand, &["exec: ", "exec format error"]),
    (BadCommand, &["no command specified"]),
    (BadCommand, &["unable to find user"]),
    (BadCommand, &["unable to find group"]),
    (BadCommand, &["no matching entries in passwd file"]),
    (BadCommand, &["no matching entries in group file"]),
    (BadCommand, &["working directory", "is invalid"]),
    (BadCommand, &["chdir to cwd", "no such file or directory"]),
    (BadCommand, &["chdir to cwd", "permission denied"]),
    (BadCommand, &["chdir to cwd", "not a directory"]),
    (BadOption, &["invalid reference format"]),
    (BadOption, &["invalid hostname"]),
    (BadOption, &["invalid environment variable"]),
    (BadOption, &["invalid cap"]),
    (BadOption, &["unknown capability"]),
    (BadOption, &["invalid signal"]),
    (BadOption, &["invalid ulimit"]),
    (BadOption, &["invalid tmpfs option"]),
    (BadOption, &["invalid logging"]),
    (BadOption, &["unknown log opt"]),
    (BadOption, &["minimum memory limit"]),
    (BadOption, &["minimum memory reservation"]),
    (BadOption, &["range of cpus"]),
    (BadOption, &["in healthcheck cannot be"]),
    (BadOption, &["sysctl", "not in a separate kernel namespace"]),
    (BadOption, &["sysctl", "not allowed"]),
];

/// What a pull is refused for. The first rule that fits counts: some registries answer with several sentences, and a limit for
/// those without a log-in is a limit.
const ANSWERS: &[Rule] = &[
    (RegistryLimit, &["toomanyrequests"]),
    (RegistryLimit, &["too many requests"]),
    (RegistryLimit, &["pull rate limit"]),
    (RegistryLimit, &["rate limit", "exceeded"]),
    (ImagePlatform, &["no matching manifest for"]),
    (ImagePlatform, &["no match for platform in manifest"]),
    (ImagePlatform, &["does not match the specified platform"]),
    (ImagePlatform, &["cannot be used on this platform"]),
    (RegistryLogin, &["access denied"]),
    (RegistryLogin, &["denied: "]),
    (RegistryLogin, &["is denied"]),
    (RegistryLogin, &["unauthorized: "]),
    (RegistryLogin, &["401 unauthorized"]),
    (RegistryLogin, &["403 forbidden"]),
    (RegistryLogin, &["authentication required"]),
    (RegistryLogin, &["authorization failed"]),
    (RegistryLogin, &["no basic auth credentials"]),
    (RegistryLogin, &["insufficient_scope"]),
    (RegistryUnreachable, &["dial tcp"]),
    (RegistryUnreachable, &["no such host"]),
    (RegistryUnreachable, &["i/o timeout"]),
    (RegistryUnreachable, &["timeout exceeded"]),
    (RegistryUnreachable, &["deadline exceeded"]),
    (RegistryUnreachable, &["tls handshake"]),
    (RegistryUnreachable, &["connection refused"]),
    (RegistryUnreachable, &["connection reset"]),
    (RegistryUnreachable, &["x509: "]),
    (RegistryUnreachable, &["remote error: tls"]),
    (RegistryUnreachable, &["server gave http response to https client"]),
    (RegistryUnreachable, &["no route to host"]),
    (RegistryUnreachable, &["network is unreachable"]),
    (RegistryUnreachable, &["server misbehaving"]),
    (RegistryUnreachable, &["bad gateway"]),
    (RegistryUnreachable, &["service unavailable"]),
    (RegistryUnreachable, &["gateway time"]),
    (RegistryUnreachable, &["internal server error"]),
    (RegistryUnreachable, &["error parsing http"]),
    (RegistryUnreachable, &["unexpected status", ": 5"]),
    (RegistryUnreachable, &["unexpected http status: 5"]),
    (RegistryUnreachable, &[": eof"]),
    (RegistryUnreachable, &["unexpected eof"]),
    (ImageUnknown, &["manifest unknown"]),
    (ImageUnknown, &["manifest_unknown"]),
    (ImageUnknown, &["name unknown"]),
    (ImageUnknown, &["name_unknown"]),
    (ImageUnknown, &["repository name not known"]),
    (ImageUnknown, &["manifest for", "not found"]),
    (ImageUnknown, &["failed to resolve reference", "not found"]),
];

/// The parts by which an error of a task is one of a pull. Engines of the 29 line show it, earlier ones only log it.
const PULLS: &[&str] = &[
    "get \"http",
    "head \"http",
    "failed to resolve reference",
    "failed to do request",
    "failed to copy: ",
    "failed to pull",
    "error from registry",
    "pull access denied",
    "manifest for ",
    "manifest unknown",
    "no matching manifest",
    "no match for platform in manifest",
    "toomanyrequests",
    "cannot be used on this platform",
];

fn first(rules: &[Rule], text: &str) -> Option<TaskFault> {
    let text = text.to_lowercase();
    rules.iter().find(|(_, parts)| parts.iter().all(|part| text.contains(part))).map(|(fault, _)| *fault)
}

/// The fault behind the error with which Swarm shows an ended task.
pub(super) fn fault(error: &str) -> TaskFault {
    if error.contains("unhealthy container") {
        return Unhealthy;
    }
    let refusal = match error.strip_prefix("task: non-zero exit (") {
        // The engine's own sentence follows the code when the container never started.
        Some(rest) => rest.split_once("): ").map(|(_, sentence)| sentence),
        None => Some(error).filter(|error| !error.trim().is_empty()),
    };
    let Some(text) = refusal else { return Exited };
    let lower = text.to_lowercase();
    match PULLS.iter().any(|part| lower.contains(part)) {
        true => registry_fault(text),
        false => first(REFUSALS, text).unwrap_or(EngineRefused),
    }
}

/// The fault behind a registry's refusal to hand out an image.
pub fn registry_fault(answer: &str) -> TaskFault {
    first(ANSWERS, answer).unwrap_or(ImageAbsent)
}

/// The image of which an error of a task says that the node does not have it.
pub(super) fn absent_image(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("No such image: ")?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Owner;

    /// Each text with its fault, of both lines of engines.
    const ERRORS: &[(&str, TaskFault)] = &[
        ("", Exited),
        ("task: non-zero exit (3)", Exited),
        ("task: non-zero exit (137): dockerexec: unhealthy container", Unhealthy),
        ("No such image: taster.test/absent:1", ImageAbsent),
        ("manifest for shop/app:nope not found: manifest unknown: manifest unknown", ImageUnknown),
        ("failed to resolve reference \"r.test:5000/geofence:nope\": r.test:5000/geofence:nope: not found", ImageUnknown),
        ("error from registry: toomanyrequests: You have reached your unauthenticated pull rate limit.", RegistryLimit),
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://r.test/v2/a: 429 Too Many \
             Requests",
            RegistryLimit,
        ),
        (
            "pull access denied for shop/app, repository does not exist or may require 'docker login': denied: requested access to \
             the resource is denied",
            RegistryLogin,
        ),
        ("Head \"https://r.test/v2/a/manifests/1\": no basic auth credentials", RegistryLogin),
        ("Get \"https://r.test/v2/\": dial tcp: lookup r.test: no such host", RegistryUnreachable),
        (
            "failed to resolve reference \"r.test/a:1\": failed to do request: Head \"https://r.test/v2/a/manifests/1\": EOF",
            RegistryUnreachable,
        ),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", ImagePlatform),
        ("no match for platform in manifest: not found", ImagePlatform),
        ("invalid mount config for type \"bind\": bind source path does not exist: /absent/folder", BadMount),
        (
            "starting container failed: OCI runtime create failed: runc create failed: unable to start container process: error \
             during container init: error mounting \"/a\" to rootfs at \"/b\": not a directory: Are you trying to mount a directory \
             onto a file (or vice-versa)?",
            BadMount,
        ),
        (
            "starting container failed: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \
             \"/nope\": stat /nope: no such file or directory: unknown",
            BadCommand,
        ),
        (
            "starting container failed: failed to create task for container: failed to create shim task: OCI runtime create \
             failed: runc create failed: unable to start container process: error during container init: exec: \"nope\": \
             executable file not found in $PATH: unknown",
            BadCommand,
        ),
        (
            "task: non-zero exit (127): OCI runtime create failed: container_linux.go:380: starting container process caused: \
             exec: \"nope\": executable file not found in $PATH: unknown",
            BadCommand,
        ),
        ("starting container failed: exec /app: exec format error", BadCommand),
        ("starting container failed: unable to find user www: no matching entries in passwd file", BadCommand),
        ("no command specified", BadCommand),
        ("invalid hostname format: my_host!", BadOption),
        ("Minimum memory limit allowed is 6MB", BadOption),
        ("unknown log opt 'max-sise' for json-file log driver", BadOption),
        ("invalid pool request: Pool overlaps with other one on this address space", EngineRefused),
        ("failed to create network shop_default: Error response from daemon: Pool overlaps with other one", EngineRefused),
        ("network shop_default not found", EngineRefused),
        ("could not find an available, non-overlapping IPv4 address pool among the defaults", EngineRefused),
        ("all predefined address pools have been fully subnetted", EngineRefused),
        ("starting container failed: no available IPv4 addresses on this network's address pools: a (b)", EngineRefused),
        ("starting container failed: Address already in use", EngineRefused),
        (
            "starting container failed: driver failed programming external connectivity on endpoint a: Bind for 0.0.0.0:80 failed: \
             port is already allocated",
            EngineRefused,
        ),
        (
            "starting container failed: OCI runtime create failed: container_linux.go:380: starting container process caused: \
             process_linux.go:385: applying cgroup configuration for process caused: cannot enter cgroupv2",
            EngineRefused,
        ),
        ("starting container failed: failed to create shim task: context deadline exceeded", EngineRefused),
        ("write /var/lib/docker/tmp/a: no space left on device", EngineRefused),
        ("lease \"a1b2\": not found", EngineRefused),
        ("attaching to network failed, make sure your network options are correct: context deadline exceeded", EngineRefused),
        ("failed to mount local volume: mount :/a:/var/lib/docker/volumes/b: connection refused", EngineRefused),
        ("logger: no log driver named 'loki' is registered", EngineRefused),
        ("could not select device driver \"nvidia\" with capabilities: [[gpu]]", EngineRefused),
        ("the moon is in the wrong phase", EngineRefused),
    ];

    #[test]
    fn error_of_a_task_is_the_recipes_only_where_its_reason_is_known_to_be() {
        for (error, wanted) in ERRORS {
            assert_eq!(fault(error), *wanted, "{error}");
        }
        let of_recipe = [ImageUnknown, ImagePlatform, BadMount, BadCommand, BadOption, Exited, Unhealthy];
        for (_, fault) in ERRORS {
            assert_eq!(fault.owner() == Owner::Recipe, of_recipe.contains(fault), "{fault:?}");
        }
    }

    #[test]
    fn answer_of_a_registry_says_why_it_hands_out_no_image() {
        for (answer, wanted) in [
            ("manifest unknown: manifest unknown", ImageUnknown),
            ("errors:\nname unknown: repository name not known to registry\n", ImageUnknown),
            (
                "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n",
                RegistryLogin,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
                RegistryLimit,
            ),
            ("Get \"https://r.test/v2/\": net/http: request canceled (Client.Timeout exceeded)", RegistryUnreachable),
            ("received unexpected HTTP status: 502 Bad Gateway", RegistryUnreachable),
            ("Get \"https://r.test/v2/\": x509: certificate signed by unknown authority", RegistryUnreachable),
            ("error parsing HTTP 404 response body: invalid character '<' looking for beginning of value", RegistryUnreachable),
            ("something else", ImageAbsent),
        ] {
            assert_eq!(registry_fault(answer), wanted, "{answer}");
        }
    }

    #[test]
    fn absent_image_is_named_by_the_error() {
        assert_eq!(absent_image("No such image: r.test/a:1@sha256:00"), Some("r.test/a:1@sha256:00"));
        assert_eq!(absent_image("invalid mount config"), None);
    }
}
