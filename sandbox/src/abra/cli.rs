//! abra's command line, as far as the stand-in knows it. Flags may stand before or after positionals.

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "abra", about = "The Co-op Cloud command-line utility belt", disable_version_flag = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    /// Print the version
    #[arg(short = 'v', long)]
    pub(super) version: bool,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(super) struct Global {
    /// No prompts; confirmations count as yes
    #[arg(short, long, global = true)]
    pub(super) no_input: bool,
    /// No network for git
    #[arg(short, long, global = true)]
    pub(super) offline: bool,
    /// Debug lines
    #[arg(short, long, global = true)]
    pub(super) debug: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Manage apps
    #[command(subcommand, alias = "a")]
    App(App),
    /// Manage recipes
    #[command(subcommand, alias = "r")]
    Recipe(Recipe),
}

#[derive(Debug, Subcommand)]
pub(super) enum App {
    /// Create a new app
    #[command(alias = "n")]
    New(New),
    /// Deploy an app
    #[command(alias = "d")]
    Deploy(Deploy),
    /// Undeploy an app
    #[command(alias = "un")]
    Undeploy(Undeploy),
    /// Remove all app data
    #[command(alias = "rm")]
    Remove(Remove),
    /// List all managed apps
    #[command(alias = "ls")]
    List(List),
    /// Check app deployment status
    Ps(Ps),
    /// Manage app secrets
    #[command(subcommand, alias = "s")]
    Secret(Secret),
    /// Manage app volumes
    #[command(subcommand, alias = "vl")]
    Volume(Volume),
    /// Run app commands
    #[command(alias = "cmd")]
    Command(Function),
    /// Manage app backups
    #[command(subcommand, alias = "b")]
    Backup(Backup),
    /// Restore a snapshot
    #[command(alias = "rs")]
    Restore(Restore),
}

#[derive(Debug, Subcommand)]
pub(super) enum Recipe {
    /// Clone a recipe
    #[command(alias = "f")]
    Fetch {
        recipe: String,
        #[arg(short, long)]
        force: bool,
    },
    /// Lint a recipe
    #[command(alias = "l")]
    Lint(Lint),
    /// List recipe versions
    #[command(alias = "v")]
    Versions {
        recipe: String,
        #[arg(short, long)]
        machine: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Lint {
    pub(super) recipe: String,
    /// Error rules only
    #[arg(short, long)]
    pub(super) error: bool,
    #[arg(short = 'C', long)]
    pub(super) chaos: bool,
}

#[derive(Debug, Args)]
pub(super) struct Function {
    pub(super) app: String,
    pub(super) service: String,
    pub(super) function: String,
    #[arg(last = true)]
    pub(super) args: Vec<String>,
    #[arg(short = 'C', long)]
    pub(super) chaos: bool,
}

#[derive(Debug, Args)]
pub(super) struct New {
    pub(super) recipe: Option<String>,
    pub(super) recipe_version: Option<String>,
    #[arg(short, long)]
    pub(super) server: Option<String>,
    #[arg(short = 'D', long)]
    pub(super) domain: Option<String>,
    #[arg(short = 'S', long)]
    pub(super) secrets: bool,
    #[arg(short = 'C', long)]
    pub(super) chaos: bool,
}

#[derive(Debug, Args)]
pub(super) struct Deploy {
    pub(super) app: String,
    pub(super) app_version: Option<String>,
    #[arg(short = 'C', long)]
    pub(super) chaos: bool,
    #[arg(short, long)]
    pub(super) force: bool,
    #[arg(short = 'c', long)]
    pub(super) no_converge_checks: bool,
    #[arg(short = 'D', long)]
    pub(super) no_domain_checks: bool,
    #[arg(short, long, short_alias = 'i', alias = "ignore-env-version")]
    pub(super) latest: bool,
}

#[derive(Debug, Args)]
pub(super) struct Undeploy {
    pub(super) app: String,
    #[arg(short, long)]
    pub(super) prune: bool,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    pub(super) app: String,
    #[arg(short, long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[arg(short, long)]
    pub(super) machine: bool,
    #[arg(short = 'S', long)]
    pub(super) status: bool,
    #[arg(short, long)]
    pub(super) server: Option<String>,
    #[arg(short, long)]
    pub(super) recipe: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Ps {
    pub(super) app: String,
    #[arg(short, long)]
    pub(super) machine: bool,
    #[arg(short = 'C', long)]
    pub(super) chaos: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// Generate secrets
    #[command(alias = "g")]
    Generate {
        app: String,
        secret: Option<String>,
        secret_version: Option<String>,
        #[arg(short, long)]
        all: bool,
        #[arg(short, long)]
        machine: bool,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
    /// Insert a secret
    #[command(alias = "i")]
    Insert {
        app: String,
        secret: String,
        secret_version: String,
        value: Option<String>,
        /// The value is the path of a file
        #[arg(short, long)]
        file: bool,
        #[arg(short, long)]
        trim: bool,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
    /// Remove secrets
    #[command(alias = "rm")]
    Remove {
        app: String,
        secret: Option<String>,
        #[arg(short, long)]
        all: bool,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
    /// List secrets
    #[command(alias = "ls")]
    List {
        app: String,
        #[arg(short, long)]
        machine: bool,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Volume {
    /// List an app's volumes
    #[command(alias = "ls")]
    List { app: String },
    /// Remove an app's volumes
    #[command(alias = "rm")]
    Remove {
        app: String,
        volume: Option<String>,
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Backup {
    /// Create a new snapshot
    #[command(alias = "c")]
    Create {
        app: String,
        /// How often a failed copy is tried again
        #[arg(short, long)]
        retries: Option<String>,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
    /// List all snapshots
    #[command(alias = "s")]
    Snapshots {
        app: String,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
    /// List the contents of a snapshot
    #[command(alias = "ls")]
    List {
        app: String,
        #[arg(short, long)]
        snapshot: Option<String>,
        /// The folders above the volumes, too
        #[arg(short, long)]
        all: bool,
        #[arg(short, long)]
        timestamps: bool,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
    /// Download a snapshot
    #[command(alias = "d")]
    Download {
        app: String,
        #[arg(short, long)]
        snapshot: Option<String>,
        /// The only path to download
        #[arg(short, long)]
        path: Option<String>,
        #[arg(long)]
        secrets: bool,
        #[arg(long)]
        volumes: bool,
        #[arg(short = 'C', long)]
        chaos: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    pub(super) app: String,
    /// The only services to restore
    #[arg(short, long, value_delimiter = ',')]
    pub(super) services: Vec<String>,
    /// The only volumes to restore
    #[arg(short, long, value_delimiter = ',')]
    pub(super) volumes: Vec<String>,
    /// The folder to restore into
    #[arg(short, long)]
    pub(super) target: Option<String>,
    /// Run the hooks of the labels
    #[arg(short = 'H', long)]
    pub(super) hooks: bool,
    #[arg(short = 'C', long)]
    pub(super) chaos: bool,
}
