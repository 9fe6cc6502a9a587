//! The types of docker/cli's loader (`cli/compose/types`) as tables.

/// The kind of a value. It defines how Docker decodes a value, how two files are merged, and when a value is left out as empty.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A text. An empty one overrides nothing.
    Text,
    /// A whole number. Zero overrides nothing.
    Whole,
    /// A whole number that is not negative. Zero overrides nothing.
    Unsigned,
    /// A port, which Docker cuts to 32 bits. Zero overrides nothing.
    PortNumber,
    /// A whole number that is not negative and whose absence Docker distinguishes from zero, so that zero overrides.
    Count,
    /// The mode of a file, which Docker cuts to 32 bits. Its absence differs from zero.
    FileMode,
    /// A number of 32 bits. Zero overrides nothing.
    Number,
    /// True or false. False overrides nothing.
    Truth,
    /// True or false, whose absence Docker tells from false. False overrides nothing all the same.
    TruthOrNone,
    /// A duration. Zero overrides nothing.
    Duration,
    /// A duration whose absence Docker tells from zero. Zero overrides nothing all the same.
    DurationOrNone,
    /// A size in bytes. Zero overrides nothing.
    Size,
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
    /// `key=value`, as map or list; a key without a value is unset. Neither an unset nor an empty one overrides another.
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
    /// A resource of the node's own kind, which Docker prints whole.
    Generic,
    /// How an image is built: its folder, or an object.
    Build,
    /// An object with these keys, which is left out when all of them are empty.
    Record(Keys),
    /// An object with these keys, whose absence Docker tells from an empty one.
    Optional(Keys),
    /// A list of objects with these keys, appended.
    Records(Keys),
    /// A key that Docker allows and never reads. It is kept for the policy.
    Unread,
}

/// The keys of an object.
pub(super) type Keys = &'static [(&'static str, Shape)];

use Shape::{
    Build, Command, Count, Duration, DurationOrNone, Environment, External, FileMode, Generic, Hosts, Labels, Logging, Mounts,
    Networks, Number, OneOrTexts, Optional, Options, PortNumber, Ports, Record, Records, Scalars, Size, Test, Text, Texts, Truth,
    TruthOrNone, Ulimits, Unread, Unsigned, Uses, Whole,
};

/// The keys that Docker refuses in a service of a stack.
pub(super) const FORBIDDEN: [&str; 8] =
    ["extends", "volume_driver", "volumes_from", "cpu_quota", "cpu_shares", "cpuset", "mem_limit", "memswap_limit"];

const ROLL: Keys = &[
    ("parallelism", Count),
    ("delay", Duration),
    ("failure_action", Text),
    ("monitor", Duration),
    ("max_failure_ratio", Number),
    ("order", Text),
];

const DEPLOY: Keys = &[
    ("mode", Text),
    ("endpoint_mode", Text),
    ("replicas", Count),
    ("labels", Labels),
    ("rollback_config", Optional(ROLL)),
    ("update_config", Optional(ROLL)),
    (
        "resources",
        Record(&[
            ("limits", Optional(&[("cpus", Text), ("memory", Size), ("pids", Whole)])),
            ("reservations", Optional(&[("cpus", Text), ("memory", Size), ("generic_resources", Records(GENERIC))])),
        ]),
    ),
    (
        "restart_policy",
        Optional(&[("condition", Text), ("delay", DurationOrNone), ("max_attempts", Count), ("window", DurationOrNone)]),
    ),
    (
        "placement",
        Record(&[("constraints", Texts), ("preferences", Records(&[("spread", Text)])), ("max_replicas_per_node", Unsigned)]),
    ),
];

/// A service.
pub(super) const SERVICE: Keys = &[
    ("deploy", Record(DEPLOY)),
    ("build", Build),
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
        Optional(&[
            ("disable", Truth),
            ("interval", DurationOrNone),
            ("retries", Count),
            ("test", Test),
            ("timeout", DurationOrNone),
            ("start_period", DurationOrNone),
            ("start_interval", DurationOrNone),
        ]),
    ),
    ("hostname", Text),
    ("image", Text),
    ("init", TruthOrNone),
    ("ipc", Text),
    ("isolation", Text),
    ("labels", Labels),
    ("links", Texts),
    ("logging", Logging),
    ("mac_address", Text),
    ("network_mode", Text),
    ("networks", Networks),
    ("oom_score_adj", Unread),
    ("pid", Text),
    ("ports", Ports),
    ("privileged", Truth),
    ("read_only", Truth),
    ("restart", Text),
    ("secrets", Uses),
    ("security_opt", Texts),
    ("shm_size", Text),
    ("stdin_open", Truth),
    ("stop_grace_period", DurationOrNone),
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
pub(super) const LOGGING: Keys = &[("driver", Text), ("options", Options)];

/// The attachment of a service to a network.
pub(super) const ATTACHMENT: Keys =
    &[("aliases", Texts), ("driver_opts", Options), ("ipv4_address", Text), ("ipv6_address", Text)];

/// A published port in its long form.
pub(super) const PORT: Keys = &[("mode", Text), ("target", PortNumber), ("published", PortNumber), ("protocol", Text)];

/// A mount in its long form.
pub(super) const MOUNT: Keys = &[
    ("type", Text),
    ("source", Text),
    ("target", Text),
    ("read_only", Truth),
    ("consistency", Text),
    ("bind", Optional(&[("propagation", Text)])),
    ("volume", Optional(&[("nocopy", Truth), ("subpath", Text)])),
    ("image", Optional(&[("subpath", Text)])),
    ("tmpfs", Optional(&[("size", Whole)])),
    ("cluster", Optional(&[])),
];

/// The use of a secret or config in its long form. Further keys are allowed and ignored.
pub(super) const USE: Keys = &[("source", Text), ("target", Text), ("uid", Text), ("gid", Text), ("mode", FileMode)];

/// A limit of `ulimits` in its long form. Docker wants whole numbers that are written as such.
pub(super) const ULIMIT: Keys = &[("hard", Whole), ("soft", Whole)];

/// A network.
pub(super) const NETWORK: Keys = &[
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
pub(super) const VOLUME: Keys = &[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", Options),
    ("external", External),
    ("labels", Labels),
    ("x-cluster-spec", Optional(CLUSTER)),
];

/// A secret.
pub(super) const SECRET: Keys = &[
    ("name", Text),
    ("file", Text),
    ("external", External),
    ("labels", Labels),
    ("driver", Text),
    ("driver_opts", Options),
    ("template_driver", Text),
];

/// A config. Docker's type is that of secrets.
pub(super) const CONFIG: Keys = SECRET;

/// How an image is built.
pub(super) const BUILD: Keys = &[
    ("context", Text),
    ("dockerfile", Text),
    ("args", Environment),
    ("labels", Labels),
    ("cache_from", OneOrTexts),
    ("extra_hosts", Hosts),
    ("network", Text),
    ("target", Text),
];

const GENERIC: Keys = &[("discrete_resource_spec", Generic)];

/// The keys of a resource of the node's own kind.
pub(super) const DISCRETE: Keys = &[("kind", Text), ("value", Whole)];

const SEGMENTS: Shape = Records(&[("segments", Labels)]);

/// A volume of a cluster.
const CLUSTER: Keys = &[
    ("group", Text),
    (
        "access_mode",
        Optional(&[
            ("scope", Text),
            ("sharing", Text),
            ("mount_volume", Optional(&[("fs_type", Text), ("mount_flags", Texts)])),
            ("block_volume", Optional(&[])),
        ]),
    ),
    ("accessibility_requirements", Optional(&[("requisite", SEGMENTS), ("preferred", SEGMENTS)])),
    ("capacity_range", Optional(&[("required_bytes", Size), ("limit_bytes", Size)])),
    ("secrets", Records(&[("key", Text), ("secret", Text)])),
    ("availability", Text),
];

/// The sections of a file with objects by name.
pub(super) const SECTIONS: [(&str, Keys); 5] =
    [("services", SERVICE), ("networks", NETWORK), ("volumes", VOLUME), ("secrets", SECRET), ("configs", CONFIG)];
