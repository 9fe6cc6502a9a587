//! The two outputs: data on standard output, everything else on standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::error::CommandError;

/// Says a line on standard error. Where nobody can read it, nothing else could be said about that either.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a command's data. A reader that went away has read enough, which is no error.
pub fn print(data: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(data.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::host(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The columns of the terminal that standard output is; nothing where it is none, or does not say.
pub fn width() -> Option<usize> {
    let size = io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(io::stdout()))?.ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
