//! Commands that seed, check and corrupt a row in a database, for the database's own client in its own container.
//!
//! Names that the pack does not declare come from the variables of the official images, evaluated in the container.

use crate::model::{
    names::ImageRef,
    pack::{CanaryAct, Database, DatabaseKind},
};

/// The value of a corrupted row.
pub const CORRUPTED: &str = "corrupted";

/// The command that performs `act` on the row `nonce`. A check prints the row's value.
pub fn command(database: &Database, act: CanaryAct, nonce: &str) -> Vec<String> {
    let script = match database.kind {
        DatabaseKind::Postgres => postgres(database, &sql(act, nonce, "text")),
        DatabaseKind::Mysql => mysql(database, &sql(act, nonce, "varchar(255)")),
        DatabaseKind::Sqlite => sqlite(database, &sql(act, nonce, "text")),
        DatabaseKind::Redis => redis(database, act, nonce),
    };
    vec!["sh".into(), "-c".into(), script]
}

/// Files and folders of databases, relative to their volumes. A volume with one of them gets no file of a canary.
pub const MARKERS: &[&str] = &[
    "PG_VERSION",
    "data/PG_VERSION",
    "pgdata/PG_VERSION",
    "16/docker/PG_VERSION",
    "17/docker/PG_VERSION",
    "18/docker/PG_VERSION",
    "19/docker/PG_VERSION",
    "ibdata1",
    "data/ibdata1",
    "aria_log_control",
    "dump.rdb",
    "data/dump.rdb",
    "appendonly.aof",
    "appendonlydir",
    "mongod.lock",
    "data/db/mongod.lock",
    "member/snap",
];

/// The kind of database in an image, by the last part of its name.
pub fn kind_of_image(image: &ImageRef) -> Option<DatabaseKind> {
    let path = image.as_str().split('@').next()?;
    let name = path.rsplit('/').next()?.split(':').next()?.to_ascii_lowercase();
    // Programs that only talk to a database have its name in theirs.
    let other = ["exporter", "backup", "dump", "admin", "commander", "insight", "bouncer", "proxy", "client", "operator"];
    if other.iter().any(|other| name.contains(other)) {
        return None;
    }
    let begins = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
    if begins(&["postgres", "postgis", "pgvector", "timescaledb"]) {
        Some(DatabaseKind::Postgres)
    } else if begins(&["mariadb", "mysql", "percona"]) {
        Some(DatabaseKind::Mysql)
    } else if begins(&["redis", "valkey", "keydb"]) {
        Some(DatabaseKind::Redis)
    } else {
        None
    }
}

/// The separators of values and of rows, which no value contains.
const UNIT: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// Why a database gives no rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The question cannot be split into the words of a Redis command.
    #[error("{question:?} is not a command of Redis")]
    NotACommand {
        /// The question.
        question: String,
        /// The quoting error.
        source: shell_words::ParseError,
    },
    /// The client failed without a message.
    #[error("its client ended with exit code {exit}")]
    Silent {
        /// The client's exit code.
        exit: i64,
    },
    /// The client or the server refused the question.
    #[error("{message}")]
    Refused {
        /// Their message.
        message: String,
    },
}

/// The command that queries a database: SQL, or a command of Redis.
pub fn query(database: &Database, question: &str) -> Result<Vec<String>, QueryError> {
    let script = match database.kind {
        DatabaseKind::Postgres => {
            let options = format!("-P null=NULL -F {} -R {}", quoted(UNIT), quoted(RECORD));
            format!("export PGOPTIONS='-c client_min_messages=error'; {}", postgres_with(database, &options, question))
        }
        DatabaseKind::Mysql => mysql(database, question),
        DatabaseKind::Sqlite => {
            let path = value_or_variable(database.path.as_ref(), "");
            format!("exec sqlite3 -ascii -nullvalue NULL -cmd '.timeout 5000' {path} {}", shell_words::quote(question))
        }
        DatabaseKind::Redis => {
            let words = shell_words::split(question)
                .map_err(|source| QueryError::NotACommand { question: question.to_owned(), source })?;
            let client = redis_client(database);
            format!("{client} exec redis-cli --raw -d {} {}", quoted(RECORD), shell_words::join(words))
        }
    };
    Ok(vec!["sh".into(), "-c".into(), script])
}

fn quoted(c: char) -> String {
    shell_words::quote(&c.to_string()).into_owned()
}

/// The rows in a client's output.
pub fn rows(kind: DatabaseKind, exit: i64, text: &str) -> Result<Vec<Vec<String>>, QueryError> {
    // The client of Redis exits with 0 although the server refuses.
    let refused = kind == DatabaseKind::Redis
        && text.split_once(' ').is_some_and(|(word, _)| {
            word.ends_with("ERR")
                || ["NOAUTH", "WRONGTYPE", "WRONGPASS", "NOPERM", "NOSCRIPT", "LOADING", "MISCONF", "OOM"].contains(&word)
        });
    if exit != 0 || refused {
        let output = text.trim();
        return Err(match output {
            "" => QueryError::Silent { exit },
            message => QueryError::Refused { message: message.to_owned() },
        });
    }
    let split = |separator: char| {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix(separator).unwrap_or(text).to_owned();
        if text.is_empty() { Vec::new() } else { text.split(separator).map(str::to_owned).collect::<Vec<_>>() }
    };
    let values = |row: String| row.split(UNIT).map(str::to_owned).collect();
    Ok(match kind {
        DatabaseKind::Postgres | DatabaseKind::Sqlite => split(RECORD).into_iter().map(values).collect(),
        DatabaseKind::Mysql => text.lines().map(|row| row.split('\t').map(unescaped).collect()).collect(),
        DatabaseKind::Redis => split(RECORD).into_iter().map(|value| vec![value]).collect(),
    })
}

/// Unescapes a value of the MySQL client's batch output.
fn unescaped(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    plain
}

fn sql(act: CanaryAct, nonce: &str, text: &str) -> String {
    match act {
        CanaryAct::Seed => format!(
            "CREATE TABLE IF NOT EXISTS taster_canary (nonce {text}); DELETE FROM taster_canary; \
             INSERT INTO taster_canary VALUES ('{nonce}');"
        ),
        CanaryAct::Check => "SELECT nonce FROM taster_canary;".to_owned(),
        CanaryAct::Corrupt => format!("UPDATE taster_canary SET nonce = '{CORRUPTED}';"),
    }
}

/// The pack's value, quoted for the shell, or a reference to the container's variables.
fn value_or_variable(value: Option<&String>, otherwise: &str) -> String {
    value.map_or_else(|| format!("\"{otherwise}\""), |value| shell_words::quote(value).into_owned())
}

/// The shell expression for the password: from a file, else from a variable.
fn password(file: Option<&String>, files: &[&str], variables: &[&str]) -> String {
    match file {
        Some(file) => format!("\"$(cat {})\"", shell_words::quote(file)),
        None => {
            let files: String = files.iter().map(|name| format!("${{{name}:+$(cat \"${name}\")}}")).collect();
            let nested = variables.iter().rev().fold(String::new(), |inner, name| format!("${{{name}:-{inner}}}"));
            format!("\"$(p=\"{files}\"; printf %s \"${{p:-{nested}}}\")\"")
        }
    }
}

fn postgres(database: &Database, sql: &str) -> String {
    postgres_with(database, "", sql)
}

fn postgres_with(database: &Database, options: &str, sql: &str) -> String {
    let user = value_or_variable(database.user.as_ref(), "${POSTGRES_USER:-postgres}");
    let name = value_or_variable(database.name.as_ref(), "${POSTGRES_DB:-${POSTGRES_USER:-postgres}}");
    let password = password(database.password_file.as_ref(), &["POSTGRES_PASSWORD_FILE"], &["POSTGRES_PASSWORD"]);
    format!(
        "PGPASSWORD={password} exec psql -v ON_ERROR_STOP=1 -qtA {options} -U {user} -d {name} -c {}",
        shell_words::quote(sql)
    )
}

fn mysql(database: &Database, sql: &str) -> String {
    let user = value_or_variable(database.user.as_ref(), "root");
    let name = value_or_variable(database.name.as_ref(), "${MYSQL_DATABASE:-$MARIADB_DATABASE}");
    let password = password(
        database.password_file.as_ref(),
        &["MYSQL_ROOT_PASSWORD_FILE", "MARIADB_ROOT_PASSWORD_FILE"],
        &["MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"],
    );
    let sql = shell_words::quote(sql);
    format!(
        "client=$(command -v mariadb || command -v mysql) && \
         MYSQL_PWD={password} exec \"$client\" -N -B -u {user} {name} -e {sql}"
    )
}

fn sqlite(database: &Database, sql: &str) -> String {
    let path = value_or_variable(database.path.as_ref(), "");
    format!("exec sqlite3 -cmd '.timeout 5000' {path} {}", shell_words::quote(sql))
}

fn redis_client(database: &Database) -> String {
    let password = password(database.password_file.as_ref(), &["REDIS_PASSWORD_FILE"], &["REDIS_PASSWORD"]);
    format!("p={password}; export REDISCLI_AUTH=\"$p\"; [ -n \"$p\" ] || unset REDISCLI_AUTH;")
}

fn redis(database: &Database, act: CanaryAct, nonce: &str) -> String {
    let client = redis_client(database);
    match act {
        CanaryAct::Seed => format!("{client} redis-cli SET taster_canary {nonce} && redis-cli SAVE"),
        CanaryAct::Check => format!("{client} redis-cli GET taster_canary"),
        CanaryAct::Corrupt => format!("{client} redis-cli SET taster_canary {CORRUPTED} && redis-cli SAVE"),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn database(kind: DatabaseKind) -> Database {
        Database { service: "db".into(), kind, name: None, user: None, password_file: None, path: None }
    }

    #[test]
    fn database_is_recognised_by_the_name_of_its_image() {
        use DatabaseKind::{Mysql, Postgres, Redis};
        for (image, kind) in [
            ("postgres:16-alpine", Some(Postgres)),
            ("docker.io/pgvector/pgvector:pg16@sha256:aa", Some(Postgres)),
            ("r.test:5000/mariadb", Some(Mysql)),
            ("mysql/mysql-server:8.0", Some(Mysql)),
            ("valkey/valkey:8", Some(Redis)),
            ("prometheuscommunity/postgres-exporter:v1", None),
            ("prodrigestivill/postgres-backup-local", None),
            ("ghost:5", None),
        ] {
            assert_eq!(kind_of_image(&image.parse().unwrap()), kind, "{image}");
        }
    }

    /// The arguments and the password that a fake client called `name` receives.
    fn call_of(database: &Database, name: &str, act: CanaryAct, env: &[(&str, &str)]) -> String {
        client_command(&command(database, act, "n1"), name, env)
    }

    fn client_command(words: &[String], name: &str, env: &[(&str, &str)]) -> String {
        let bin = tempfile::tempdir().unwrap();
        let fake = bin.path().join(name);
        // A child writes the file. If this process wrote it, a child that another thread forks meanwhile would inherit the open
        // file, and the kernel refuses to execute a file that is open for writing.
        let text = "#!/bin/sh\necho \"$PGPASSWORD$MYSQL_PWD$REDISCLI_AUTH|$*\"\n";
        let write = "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"";
        let written = Command::new("/bin/sh").args(["-c", write, "sh", text]).arg(&fake).status().unwrap();
        assert!(written.success());
        let path = format!("{}:/usr/bin:/bin", bin.path().display());
        let done =
            Command::new(&words[0]).args(&words[1..]).env_clear().env("PATH", path).envs(env.iter().copied()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    #[test]
    fn clients_get_names_and_passwords_from_the_container() {
        use CanaryAct::Check;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3 cret").unwrap();
        let path = file.path().to_str().unwrap();
        let select = "SELECT nonce FROM taster_canary;";
        for (kind, client, env, call) in [
            (DatabaseKind::Postgres, "psql", vec![], format!("|-v ON_ERROR_STOP=1 -qtA -U postgres -d postgres -c {select}")),
            (
                DatabaseKind::Postgres,
                "psql",
                vec![("POSTGRES_USER", "shop"), ("POSTGRES_PASSWORD_FILE", path)],
                format!("s3 cret|-v ON_ERROR_STOP=1 -qtA -U shop -d shop -c {select}"),
            ),
            (
                DatabaseKind::Mysql,
                "mysql",
                vec![("MYSQL_DATABASE", "ghost"), ("MYSQL_ROOT_PASSWORD_FILE", path)],
                format!("s3 cret|-N -B -u root ghost -e {select}"),
            ),
            (
                DatabaseKind::Mysql,
                "mariadb",
                vec![("MARIADB_DATABASE", "wiki"), ("MARIADB_ROOT_PASSWORD", "x")],
                format!("x|-N -B -u root wiki -e {select}"),
            ),
            (DatabaseKind::Redis, "redis-cli", vec![], "|GET taster_canary".to_owned()),
            (DatabaseKind::Redis, "redis-cli", vec![("REDIS_PASSWORD", "x")], "x|GET taster_canary".to_owned()),
        ] {
            assert_eq!(call_of(&database(kind), client, Check, &env), call, "{kind:?} {env:?}");
        }
    }

    #[test]
    fn client_output_is_parsed_as_rows() {
        use DatabaseKind::{Mysql, Postgres, Redis, Sqlite};
        for (kind, text, wanted) in [
            (Postgres, "", &[][..]),
            (Postgres, "1\u{1f}two\nlines\u{1e}3\u{1f}NULL\n", &[&["1", "two\nlines"][..], &["3", "NULL"]]),
            (Sqlite, "1\u{1f}a\u{1e}2\u{1f}b\u{1e}", &[&["1", "a"], &["2", "b"]]),
            (Sqlite, "\u{1f}\u{1e}", &[&["", ""]]),
            (Mysql, "1\ta\\tb\\nc\\\\\n2\tNULL\n", &[&["1", "a\tb\nc\\"], &["2", "NULL"]]),
            (Redis, "one\u{1e}two\n", &[&["one"], &["two"]]),
            (Redis, "OK\n", &[&["OK"]]),
        ] {
            assert_eq!(rows(kind, 0, text).unwrap(), wanted, "{kind:?} {text:?}");
        }
        for (kind, exit, text, message) in [
            (Postgres, 3, "ERROR:  relation \"x\" does not exist\n", "ERROR:  relation \"x\" does not exist"),
            (Mysql, 1, "", "its client ended with exit code 1"),
            (Redis, 0, "ERR unknown command 'GETT'\n", "ERR unknown command 'GETT'"),
            (Redis, 0, "NOAUTH Authentication required.\n", "NOAUTH Authentication required."),
        ] {
            assert_eq!(rows(kind, exit, text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn query_reaches_the_client_verbatim() {
        for (kind, client, question, call) in [
            (
                DatabaseKind::Postgres,
                "psql",
                "SELECT 'a b'",
                "|-v ON_ERROR_STOP=1 -qtA -P null=NULL -F \u{1f} -R \u{1e} -U postgres -d postgres -c SELECT 'a b'",
            ),
            (DatabaseKind::Sqlite, "sqlite3", "SELECT 1", "|-ascii -nullvalue NULL -cmd .timeout 5000 /data/a.db SELECT 1"),
            (DatabaseKind::Redis, "redis-cli", "SET k 'a b'", "|--raw -d \u{1e} SET k a b"),
        ] {
            let database = Database { path: Some("/data/a.db".into()), ..database(kind) };
            assert_eq!(client_command(&query(&database, question).unwrap(), client, &[]), call);
        }
        assert!(query(&database(DatabaseKind::Redis), "GET 'k").unwrap_err().to_string().contains("is not a command of Redis"));
    }

    #[test]
    fn pack_settings_override_the_container() {
        let pack = Database {
            name: Some("my db".into()),
            user: Some("me".into()),
            path: Some("/data/a b.db".into()),
            ..database(DatabaseKind::Postgres)
        };
        let call = call_of(&pack, "psql", CanaryAct::Corrupt, &[("POSTGRES_USER", "other")]);
        assert_eq!(call, "|-v ON_ERROR_STOP=1 -qtA -U me -d my db -c UPDATE taster_canary SET nonce = 'corrupted';");
        let file = call_of(&Database { kind: DatabaseKind::Sqlite, ..pack }, "sqlite3", CanaryAct::Check, &[]);
        assert_eq!(file, "|-cmd .timeout 5000 /data/a b.db SELECT nonce FROM taster_canary;");
    }
}
