//! Text of others, made fit to be shown.

use std::{iter::Peekable, str::Chars};

/// The text without what steers a terminal: escape sequences and control characters other than the ends of lines and tabs. What a
/// log has in it must not paint the reader's terminal, and XML has no way to write it.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_sequence(&mut letters),
            '\n' | '\t' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if letter.is_control() => {}
            _ => out.push(letter),
        }
    }
    out
}

/// Goes to the end of the escape sequence that has just begun. One that was cut off ends with its line, so that no other line is lost
/// with it.
fn skip_sequence(letters: &mut Peekable<Chars<'_>>) {
    match letters.next_if(|letter| *letter != '\n') {
        // A control sequence ends with its first letter or sign beyond the parameters.
        Some('[') => while letters.next_if(|letter| *letter != '\n').is_some_and(|letter| !('@'..='~').contains(&letter)) {},
        // A command to the system, such as a window's title, ends with a bell, or with an escape and a backslash.
        Some(']') => {
            let mut before = ']';
            while let Some(letter) = letters.next_if(|letter| *letter != '\n') {
                if letter == '\u{7}' || (before, letter) == ('\u{1b}', '\\') {
                    break;
                }
                before = letter;
            }
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_stays() {
        for (text, shown) in [
            ("plain é\tline\r\nnext", "plain é\tline\nnext"),
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}(Bcharset", "Bcharset"),
            ("cut \u{1b}[31", "cut "),
            ("cut \u{1b}[31\nnext", "cut \nnext"),
            ("cut \u{1b}\nnext", "cut \nnext"),
            ("cut \u{1b}]0;title\nnext\nlast", "cut \nnext\nlast"),
            ("\u{1b}]0;C:\\dir\u{7}text", "text"),
            ("\u{0}\u{8}\u{9b}\u{fffe}", ""),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }
}
