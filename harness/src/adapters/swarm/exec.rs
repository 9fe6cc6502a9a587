//! A command in a running container.

use bollard::{
    Docker,
    exec::{CreateExecOptions, StartExecResults},
};
use futures_util::StreamExt;

use super::call::answer;
use crate::model::engine::SwarmError;

/// The largest kept part of the output, in bytes. The rest is read and dropped, so that the command can end.
const OUTPUT_LIMIT: usize = 1 << 20;

/// Runs a command and returns its exit code and the text of both its outputs.
pub(super) async fn exec(docker: &Docker, container: &str, argv: &[&str]) -> Result<(i64, String), SwarmError> {
    let options = CreateExecOptions {
        cmd: Some(argv.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let created = answer("exec", docker.create_exec(container, options)).await?;
    let failed = |message: String| SwarmError::Failed { call: "exec".into(), message };
    let mut kept = Vec::new();
    match answer("exec start", docker.start_exec(&created.id, None)).await? {
        StartExecResults::Attached { mut output, .. } => {
            while let Some(frame) = output.next().await {
                let bytes = frame.map_err(|error| failed(error.to_string()))?.into_bytes();
                kept.extend_from_slice(&bytes[..bytes.len().min(OUTPUT_LIMIT.saturating_sub(kept.len()))]);
            }
        }
        StartExecResults::Detached => return Err(failed("the engine did not attach to it".into())),
    }
    let ended = answer("exec inspect", docker.inspect_exec(&created.id)).await?;
    let exit = ended.exit_code.ok_or_else(|| failed("the engine reports no exit code".into()))?;
    Ok((exit, String::from_utf8_lossy(&kept).into_owned()))
}
