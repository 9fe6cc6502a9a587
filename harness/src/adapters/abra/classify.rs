//! The result of a call, from its exit status and its output. Pure.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use crate::ports::{AbraError, Exchange};

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal of another process.
    Signal(i32),
    /// By taster, because its budget was used up.
    Deadline(Duration),
    /// By taster, because it asked a question.
    Prompted,
}

impl Ended {
    /// The end of a process that taster did not end.
    pub(super) fn by_itself(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// The exchange after exit code 0. Any other end is an error with abra's reason.
pub fn classify(ended: Ended, exchange: Exchange) -> Result<Exchange, AbraError> {
    let last = || last_line(&exchange.text).to_owned();
    match ended {
        Ended::Exit(0) => Ok(exchange),
        Ended::Exit(exit) => {
            let reason = fatal(&exchange.text).unwrap_or_else(last);
            Err(AbraError::Fatal { exit, reason, exchange })
        }
        Ended::Signal(signal) => Err(AbraError::Signalled { signal, last: last() }),
        Ended::Deadline(after) => Err(AbraError::Hung { after, last: last() }),
        Ended::Prompted => Err(AbraError::Prompted { prompt: last() }),
    }
}

/// The last `FATA` line with the indented lines that continue it, without the level.
fn fatal(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().rposition(|line| line.starts_with("FATA"))?;
    let first = lines[at].trim_start_matches("FATA").trim();
    let more = lines[at + 1..].iter().take_while(|line| line.starts_with([' ', '\t'])).map(|line| line.trim());
    Some([first].into_iter().chain(more).collect::<Vec<_>>().join("\n"))
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing was printed")
}

/// The question at the end of `text`: an unfinished last line that looks like a prompt. Only silence after it shows that it is
/// one.
pub(super) fn question(text: &str) -> Option<&str> {
    if text.ends_with('\n') {
        return None;
    }
    let line = text.lines().next_back()?.trim();
    let mut end = line;
    for (open, close) in [('(', ')'), ('[', ']')] {
        // The choices behind a question: `(y/N)`, `[Y/n]`.
        end = end.strip_suffix(close).and_then(|inner| Some(inner.rsplit_once(open)?.0.trim_end())).unwrap_or(end);
    }
    let is_question = end.ends_with(['?', ':']) || line.starts_with("? ");
    is_question.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(text: &str) -> Exchange {
        Exchange { text: text.to_owned(), raw: text.as_bytes().to_vec(), took: Duration::ZERO }
    }

    #[test]
    fn reason_is_the_last_fatal_line_or_the_last_line() {
        for (text, reason) in [
            ("INFO a\nFATA secret not generated: db\n", "secret not generated: db"),
            (
                "FATA one\nFATA recipe 'x' failed lint checks:\n   * annotated (R014)\nINFO z\n",
                "recipe 'x' failed lint checks:\n* annotated (R014)",
            ),
            ("Error: unknown flag: --x\n\n", "Error: unknown flag: --x"),
            ("", "nothing was printed"),
        ] {
            let error = classify(Ended::Exit(1), exchange(text)).unwrap_err();
            assert!(matches!(&error, AbraError::Fatal { exit: 1, reason: found, .. } if found == reason), "{error:?}");
        }
    }

    #[test]
    fn fatal_line_with_exit_code_0_is_success() {
        assert!(classify(Ended::Exit(0), exchange("FATA odd\n")).is_ok());
    }

    #[test]
    fn question_is_an_unfinished_last_line() {
        for (text, expected) in [
            ("x\n? proceed? (y/N) ", Some("? proceed? (y/N)")),
            ("Password: ", Some("Password:")),
            ("continue [Y/n]?", Some("continue [Y/n]?")),
            ("really? [y/N]", Some("really? [y/N]")),
            ("? Select app server:  [Use arrows to move]", Some("? Select app server:  [Use arrows to move]")),
            ("why?\n", None),
            ("pulling layer", None),
            ("", None),
        ] {
            assert_eq!(question(text), expected, "{text:?}");
        }
    }
}
