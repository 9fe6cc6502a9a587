//! The compose format: Docker's schema for stacks (`cli/compose/schema`, 3.13) as tables.

/// The kind of a value. It defines the allowed values and how two files are merged, which follows Docker's types.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A text. An empty one overrides nothing.
    Text,
    /// A text or null.
    TextOrNull,
    /// A whole number. Zero overrides nothing.
    Whole,
    /// A whole number whose absence Docker tells from zero, so that zero overrides.
    Count,
    /// A number.
    Number,
    /// True or false. False overrides nothing.
    Truth,
    /// A duration. Zero overrides nothing.
    Duration,
    /// A size in bytes, as text.
    Size,
    /// A text, or a number for one.
    Scalar,
    /// Texts, appended.
    Texts,
    /// One text or several, appended.
    OneOrTexts,
    /// Texts or numbers, appended.
    Scalars,
    /// A command: a list, or a text that is split as a shell would do it. Replaced as a whole.
    Command,
    /// The test of a health check: a list, or a text for a shell. Appended.
    Test,
    /// `key=value`, as map or list; a key without a value is the empty text.
    Labels,
    /// `key=value`, as map or list; a key without a value is unset. Neither an unset nor an empty one overrides.
    Environment,
    /// A map of scalars.
    Options,
    /// Names with addresses, appended.
    Hosts,
    /// Published ports, merged by the published number.
    Ports,
    /// Mounts, merged by their target.
    Mounts,
    /// Uses of secrets or configs, merged by their source.
    Uses,
    /// Networks of a service, as map or list.
    Networks,
    /// `external`: true, false, or an object with a name.
    External,
    /// Limits, each a number or a pair.
    Ulimits,
    /// Logging: options are merged only for the same driver.
    Logging,
    /// An object with these keys.
    Record(&'static [(&'static str, Shape)]),
    /// An object with these keys, or null.
    RecordOrNull(&'static [(&'static str, Shape)]),
    /// A list of objects with these keys, appended.
    Records(&'static [(&'static str, Shape)]),
    /// Any value, replaced as a whole.
    Any,
}

use Shape::{
    Any, Command, Count, Duration, Environment, External, Hosts, Labels, Logging, Mounts, Networks, Number, OneOrTexts, Options,
    Ports, Record, RecordOrNull, Records, Scalars, Size, Test, Text, TextOrNull, Texts, Truth, Ulimits, Uses, Whole,
};

/// The keys that Docker refuses in a service of a stack.
pub(super) const FORBIDDEN: [&str; 8] =
    ["extends", "volume_driver", "volumes_from", "cpu_quota", "cpu_shares", "cpuset", "mem_limit", "memswap_limit"];

const ROLL: &[(&str, Shape)] = &[
    ("parallelism", Count),
    ("delay", Duration),
    ("failure_action", Text),
    ("monitor", Duration),
    ("max_failure_ratio", Number),
    ("order", Text),
];

const DEPLOY: &[(&str, Shape)] = &[
    ("mode", Text),
    ("endpoint_mode", Text),
    ("replicas", Count),
    ("labels", Labels),
    ("rollback_config", Record(ROLL)),
    ("update_config", Record(ROLL)),
    (
        "resources",
        Record(&[
            ("limits", Record(&[("cpus", Text), ("memory", Size), ("pids", Whole)])),
            ("reservations", Record(&[("cpus", Text), ("memory", Size), ("generic_resources", Any)])),
        ]),
    ),
    ("restart_policy", Record(&[("condition", Text), ("delay", Duration), ("max_attempts", Count), ("window", Duration)])),
    (
        "placement",
        Record(&[("constraints", Texts), ("preferences", Records(&[("spread", Text)])), ("max_replicas_per_node", Whole)]),
    ),
];

/// A service.
pub(super) const SERVICE: &[(&str, Shape)] = &[
    ("deploy", RecordOrNull(DEPLOY)),
    ("build", Any),
    ("cap_add", Texts),
    ("cap_drop", Texts),
    ("cgroupns_mode", Text),
    ("cgroup_parent", Text),
    ("command", Command),
    ("configs", Uses),
    ("container_name", Text),
    ("credential_spec", Record(&[("config", Text), ("file", Text), ("registry", Text)])),
    ("depends_on", Texts),
    ("devices", Texts),
    ("dns", OneOrTexts),
    ("dns_search", OneOrTexts),
    ("domainname", Text),
    ("entrypoint", Command),
    ("env_file", OneOrTexts),
    ("environment", Environment),
    ("expose", Scalars),
    ("external_links", Texts),
    ("extra_hosts", Hosts),
    (
        "healthcheck",
        Record(&[
            ("disable", Truth),
            ("interval", Duration),
            ("retries", Count),
            ("test", Test),
            ("timeout", Duration),
            ("start_period", Duration),
            ("start_interval", Duration),
        ]),
    ),
    ("hostname", Text),
    ("image", Text),
    ("init", Truth),
    ("ipc", Text),
    ("isolation", Text),
    ("labels", Labels),
    ("links", Texts),
    ("logging", Logging),
    ("mac_address", Text),
    ("network_mode", Text),
    ("networks", Networks),
    ("oom_score_adj", Whole),
    ("pid", TextOrNull),
    ("ports", Ports),
    ("privileged", Truth),
    ("read_only", Truth),
    ("restart", Text),
    ("secrets", Uses),
    ("security_opt", Texts),
    ("shm_size", Shape::Scalar),
    ("stdin_open", Truth),
    ("stop_grace_period", Duration),
    ("stop_signal", Text),
    ("sysctls", Labels),
    ("tmpfs", OneOrTexts),
    ("tty", Truth),
    ("ulimits", Ulimits),
    ("user", Text),
    ("userns_mode", Text),
    ("volumes", Mounts),
    ("working_dir", Text),
];

/// The keys of `logging`.
pub(super) const LOGGING: &[(&str, Shape)] = &[("driver", Text), ("options", Options)];

/// The attachment of a service to a network.
pub(super) const ATTACHMENT: &[(&str, Shape)] =
    &[("aliases", Texts), ("driver_opts", Options), ("ipv4_address", Text), ("ipv6_address", Text)];

/// A published port in its long form.
pub(super) const PORT: &[(&str, Shape)] = &[("mode", Text), ("target", Whole), ("published", Whole), ("protocol", Text)];

/// A mount in its long form.
pub(super) const MOUNT: &[(&str, Shape)] = &[
    ("type", Text),
    ("source", Text),
    ("target", Text),
    ("read_only", Truth),
    ("consistency", Text),
    ("bind", Any),
    ("volume", Any),
    ("tmpfs", Any),
    ("image", Any),
    ("cluster", Any),
];

/// The use of a secret or config in its long form. Further keys are allowed and ignored.
pub(super) const USE: &[(&str, Shape)] = &[("source", Text), ("target", Text), ("uid", Text), ("gid", Text), ("mode", Number)];

/// A limit of `ulimits` in its long form.
pub(super) const ULIMIT: &[(&str, Shape)] = &[("hard", Whole), ("soft", Whole)];

/// A network.
pub(super) const NETWORK: &[(&str, Shape)] = &[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", Options),
    ("ipam", Record(&[("driver", Text), ("config", Records(&[("subnet", Text)]))])),
    ("external", External),
    ("internal", Truth),
    ("attachable", Truth),
    ("labels", Labels),
];

/// A volume.
pub(super) const VOLUME: &[(&str, Shape)] = &[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", Options),
    ("external", External),
    ("labels", Labels),
    ("x-cluster-spec", Any),
];

/// A secret.
pub(super) const SECRET: &[(&str, Shape)] = &[
    ("name", Text),
    ("file", Text),
    ("external", External),
    ("labels", Labels),
    ("driver", Text),
    ("driver_opts", Options),
    ("template_driver", Text),
];

/// A config.
pub(super) const CONFIG: &[(&str, Shape)] =
    &[("name", Text), ("file", Text), ("external", External), ("labels", Labels), ("template_driver", Text)];

/// The sections of a file with objects by name.
pub(super) const SECTIONS: [(&str, Shape); 5] = [
    ("services", Record(SERVICE)),
    ("networks", RecordOrNull(NETWORK)),
    ("volumes", RecordOrNull(VOLUME)),
    ("secrets", Record(SECRET)),
    ("configs", Record(CONFIG)),
];
