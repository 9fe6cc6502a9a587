//! The two outputs: data on standard output, everything else on standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::error::CommandError;

/// Prints a line on standard error. An error is ignored: there is no other place to report it.
pub fn message(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a command's data on standard output. A reader that closes its end early is not an error.
pub fn print(data: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(data.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::host(error).context("cannot write to standard output"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The width of standard output in columns; absent where it is not a terminal or its size is unknown.
pub fn width() -> Option<usize> {
    let size = io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(io::stdout()))?.ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
