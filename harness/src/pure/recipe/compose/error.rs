//! Errors of resolving a recipe's compose files.

use std::{fmt, sync::Arc};

use crate::model::names::BadName;

/// A place in a file. Line and column count from 1; line 0 means that only the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, relative to the recipe's folder.
    pub file: Arc<str>,
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Error of resolving compose files. abra or Docker refuses all of these, too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// `COMPOSE_FILE` names a file that the recipe does not have.
    #[error("COMPOSE_FILE names {file}, which the recipe does not have at this commit")]
    NoComposeFile {
        /// The file.
        file: String,
    },
    /// A compose file lies outside the recipe's folder.
    #[error("COMPOSE_FILE names {file}, which is outside the recipe's folder")]
    ComposeFileOutside {
        /// The file.
        file: String,
    },
    /// A compose file is not text.
    #[error("{file} is not a text file in UTF-8")]
    NoText {
        /// The file.
        file: String,
    },
    /// A file is not valid YAML.
    #[error("{at} is not valid YAML: {message}")]
    NoYaml {
        /// Where.
        at: Position,
        /// The library's message.
        message: String,
    },
    /// A file that Docker reads in a way that a reader would not expect, or that differs from machine to machine.
    #[error("{at} is not clear: {message}")]
    Unclear {
        /// Where.
        at: Position,
        /// The reason.
        message: String,
    },
    /// The files do not declare the same version.
    #[error("{file} declares version {other} of the compose format, the first file {first}; all files must declare the same")]
    VersionMismatch {
        /// The file that differs.
        file: String,
        /// The first file's version.
        first: String,
        /// This file's version.
        other: String,
    },
    /// Docker does not know the version.
    #[error("{file} declares version {version} of the compose format, which Docker does not know for stacks")]
    UnknownVersion {
        /// The file.
        file: String,
        /// The version.
        version: String,
    },
    /// Invalid interpolation syntax.
    #[error("{at}: {path} has an invalid variable in {template:?}; a `$` that is meant as such is written `$$`")]
    BadVariable {
        /// Where.
        at: Position,
        /// The path of the value.
        path: String,
        /// The value, verbatim.
        template: String,
    },
    /// A required variable is unset.
    #[error("{at}: {path} needs the variable {variable}: {message}")]
    MissingVariable {
        /// Where.
        at: Position,
        /// The path of the value.
        path: String,
        /// The variable.
        variable: String,
        /// The file's message.
        message: String,
    },
    /// An interpolated value has the wrong type.
    #[error("{at}: {path} is {text:?} after its variables were filled in, and must be {wanted}")]
    BadCast {
        /// Where.
        at: Position,
        /// The path of the value.
        path: String,
        /// The value with its variables filled in.
        text: String,
        /// The expected type.
        wanted: &'static str,
    },
    /// A key that Docker refuses in stacks.
    #[error("{at}: {path} is forbidden in stacks")]
    Forbidden {
        /// Where.
        at: Position,
        /// The path of the key.
        path: String,
    },
    /// An unknown key.
    #[error("{at}: {path} is not a key of the compose format")]
    UnknownKey {
        /// Where.
        at: Position,
        /// The path of the key.
        path: String,
    },
    /// A value of the wrong kind.
    #[error("{at}: {path} must be {wanted}")]
    WrongKind {
        /// Where.
        at: Position,
        /// The path of the value.
        path: String,
        /// The expected type.
        wanted: String,
    },
    /// An entry that stands twice in a list of different entries.
    #[error("{at}: {path} repeats an earlier entry of the list")]
    Repeated {
        /// Where.
        at: Position,
        /// The path of the entry.
        path: String,
    },
    /// An object without a key that it must have.
    #[error("{at}: {path} has no key {key}")]
    MissingKey {
        /// Where.
        at: Position,
        /// The path of the object.
        path: String,
        /// The key.
        key: String,
    },
    /// A key that is there twice in upper and lower case, of which a reader cannot tell the one that Docker takes.
    #[error("{at}: {path} is there twice, in upper and lower case, and only one of them counts")]
    Ambiguous {
        /// Where.
        at: Position,
        /// The path of the key.
        path: String,
    },
    /// Two keys that exclude each other.
    #[error("{at}: {path} cannot have both {one} and {other}")]
    Conflict {
        /// Where.
        at: Position,
        /// The path of the object.
        path: String,
        /// The first key.
        one: &'static str,
        /// The second key.
        other: &'static str,
    },
    /// A service uses an undeclared object.
    #[error("service {service} uses the {kind} {name}, which no compose file declares")]
    Undeclared {
        /// The service.
        service: String,
        /// `network`, `volume`, `secret` or `config`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A service without an image.
    #[error("service {service} has no image")]
    NoImage {
        /// The service.
        service: String,
    },
    /// A compose file names a file that is missing in the recipe's folder.
    #[error("{path} names the file {file}, which the recipe does not have at this commit")]
    NoFile {
        /// The path in the compose files.
        path: String,
        /// The file.
        file: String,
    },
    /// A compose file names a file that is not text.
    #[error("{path} names the file {file}, which is not a text in UTF-8")]
    NoTextFile {
        /// The path in the compose files.
        path: String,
        /// The file.
        file: String,
    },
    /// A variable without a value in a file of variables.
    #[error("{file}:{line}: {variable} has no value, and Docker takes it from the environment in which the app is deployed")]
    DeployersVariable {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The variable.
        variable: String,
    },
    /// A file of variables that cannot be parsed.
    #[error("{file}:{line}: {text:?} is not a variable")]
    BadEnvFile {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The line's text.
        text: String,
    },
    /// A secret's name without a version suffix.
    #[error("the secret {secret} has no version: its name {name:?} ends without one")]
    NoSecretVersion {
        /// The secret.
        secret: String,
        /// Its name on the Swarm.
        name: String,
    },
    /// An invalid name.
    #[error("service {service}: {cause}")]
    BadName {
        /// The service.
        service: String,
        /// The error.
        cause: BadName,
    },
}

impl Unresolved {
    /// Whether Docker may take what taster refuses, because it can be read in two ways. `docs/decisions/compose.md` lists them.
    pub fn is_by_design(&self) -> bool {
        matches!(self, Self::Unclear { .. } | Self::Ambiguous { .. } | Self::DeployersVariable { .. } | Self::NoText { .. })
    }
}
