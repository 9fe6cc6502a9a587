//! Text for people: text of other programs without control characters, and errors with their causes.

use std::{error::Error, iter::Peekable, str::Chars};

/// The error and its causes in one line, from the outermost to the innermost: `cannot read a.env: permission denied`.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether a character leaves no trace of its own and changes how others are shown: control characters except line ends and tabs,
/// marks of direction, joiners and other characters of no width. U+FFFE and U+FFFF are no characters at all.
pub fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        letter if letter.is_ascii() => letter.is_ascii_control(),
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}' => true,
        letter => letter.is_control(),
    }
}

/// The text without escape sequences and hidden characters, except line ends and tabs. Logs must not control the reader's
/// terminal nor show words in another order than they have, and XML cannot represent control characters.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_sequence(&mut letters),
            _ if is_hidden(letter) => {}
            _ => out.push(letter),
        }
    }
    out
}

/// Skips to the end of an escape sequence. A truncated sequence ends with its line, so that no other line is lost.
fn skip_sequence(letters: &mut Peekable<Chars<'_>>) {
    match letters.next_if(|letter| *letter != '\n') {
        // A control sequence ends with the first character after its parameters.
        Some('[') => while letters.next_if(|letter| *letter != '\n').is_some_and(|letter| !('@'..='~').contains(&letter)) {},
        // An operating system command, such as a window's title, ends with BEL or with ESC and a backslash.
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
    fn control_characters_are_removed() {
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
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{ad}f\u{2028}g\u{e0041}h", "abcdefgh"),
            ("naïve 日本 👍🏽 ±€", "naïve 日本 👍🏽 ±€"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }
}
