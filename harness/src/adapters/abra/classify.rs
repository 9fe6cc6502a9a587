//! How a call ended, from its exit status and what it printed. Pure.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use crate::ports::{AbraError, Exchange};

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By us, because its budget was used up.
    Deadline(Duration),
    /// By us, because it asked a question.
    Prompted,
}

impl Ended {
    /// How a process ended that nobody of us ended.
    pub(super) fn by_itself(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// Exit code 0 is the exchange itself; everything else is an error with abra's own reason.
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

/// The last `FATA` line with the indented lines that continue it; without the word itself.
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

/// The question that `text` ends with, when it ends in one: a line that was begun and not ended, and looks like asking.
///
/// Whether it is one is known only when silence follows.
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
    let asks = end.ends_with(['?', ':']) || line.starts_with("? ");
    asks.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(text: &str) -> Exchange {
        Exchange { text: text.to_owned(), raw: text.as_bytes().to_vec(), took: Duration::ZERO }
    }

    #[test]
    fn the_reason_is_the_last_fatal_line_or_the_last_line() {
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
    fn a_fatal_line_does_not_make_a_success_fail() {
        assert!(classify(Ended::Exit(0), exchange("FATA odd\n")).is_ok());
    }

    #[test]
    fn a_question_is_a_line_without_end() {
        for (text, asked) in [
            ("x\n? proceed? (y/N) ", Some("? proceed? (y/N)")),
            ("Password: ", Some("Password:")),
            ("continue [Y/n]?", Some("continue [Y/n]?")),
            ("really? [y/N]", Some("really? [y/N]")),
            ("? Select app server:  [Use arrows to move]", Some("? Select app server:  [Use arrows to move]")),
            ("why?\n", None),
            ("pulling layer", None),
            ("", None),
        ] {
            assert_eq!(question(text), asked, "{text:?}");
        }
    }
}
