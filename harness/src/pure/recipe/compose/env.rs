//! The variables of an app: its `.env`, the exports of its `abra.sh`, and the `env_file` of a service.

pub use formats::dotenv::{
    Assignment, BadEnv, Env, EnvFault, Modifiers, Setting, Uneditable, assignments, edit, exports, is_secret_version,
};
pub(super) use formats::env_file::read as env_file;
