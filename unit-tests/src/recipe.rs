//! A small recipe with all that Co-op Cloud has: three releases and a commit after them, secrets, a volume, an overlay.

use std::{fs, path::Path, process::Command};

const COMPOSE: &str = r#"---
version: "3.8"
services:
  app:
    image: ${IMAGE:-taster.test/busybox:1.35.0}
    command: httpd -f -p 80
    environment:
      - OWN=recipe
    secrets:
      - db_password
      - passphrase
    volumes:
      - data:/data
    deploy:
      labels:
        - "traefik.enable=true"
        - "coop-cloud.${STACK_NAME}.version=@VERSION@"
        - "coop-cloud.${STACK_NAME}.timeout=${TIMEOUT:-60}"
    healthcheck:
      test: ["CMD", "true"]
      interval: 1s
volumes:
  data:
secrets:
  db_password:
    external: true
    name: ${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}
  passphrase:
    external: true
    name: ${STACK_NAME}_passphrase_${SECRET_PASSPHRASE_VERSION}
"#;

const BY_HAND: &str = r#"---
version: "3.8"
services:
  app:
    secrets:
      - by_hand
secrets:
  by_hand:
    external: true
    name: ${STACK_NAME}_by_hand_${SECRET_BY_HAND_VERSION}
"#;

const WORKER: &str = r#"---
version: "3.8"
services:
  worker:
    image: ${IMAGE:-taster.test/busybox:1.35.0}
    command: sleep 100000
    ports: ["47811:80"]
    deploy:
      update_config: {order: start-first, failure_action: rollback}
"#;

const ENV: &str = "TYPE=small\nDOMAIN=small.example.com\nLETS_ENCRYPT_ENV=production\nTIMEOUT=60\nPRICE='5$'\n\
    COMPOSE_FILE=\"compose.yml\"\n#COMPOSE_FILE=\"$COMPOSE_FILE:compose.by-hand.yml\"\n\
    SECRET_DB_PASSWORD_VERSION=v1 # length=32 charset=hex\nSECRET_PASSPHRASE_VERSION=v1\n\
    SECRET_BY_HAND_VERSION=v1 # generate=false\n";

const GREET: &str = "greet() {\n  echo \"hello $2 $1 from $APP_NAME, $TARGET, $APP_CONF_VERSION, $LETS_ENCRYPT_ENV\"\n}\n\nrefuse() {\n  return 3\n}\n";

/// The releases, oldest first. The branch has one commit more.
pub const VERSIONS: [&str; 3] = ["0.9.0+1.0.0", "0.10.0+1.1.0", "1.0.0+2.0.0"];

/// Makes the recipe `small` as a git repository in `folder`.
///
/// # Panics
/// If git fails.
pub fn make(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    for (at, version) in VERSIONS.iter().enumerate() {
        fs::write(folder.join("compose.yml"), COMPOSE.replace("@VERSION@", version)).unwrap();
        fs::write(folder.join("compose.by-hand.yml"), BY_HAND).unwrap();
        if at > 0 {
            fs::write(folder.join("compose.worker.yml"), WORKER).unwrap();
        }
        fs::write(folder.join(".env.sample"), ENV).unwrap();
        fs::write(folder.join("abra.sh"), format!("export APP_CONF_VERSION=v{at}\n{GREET}")).unwrap();
        git(folder, &["add", "--all"]);
        git(folder, &["commit", "--quiet", "--message", version]);
        git(folder, &["tag", "--annotate", "--message", &format!("chore: publish {version} release"), version]);
    }
    fs::write(folder.join("README.md"), "# small\n").unwrap();
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "readme"]);
}

/// What git prints in `folder`.
///
/// # Panics
/// If it fails.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
    crate::engine::printed(Command::new("git").arg("-C").arg(folder).args(identity).args(args), args)
}
