//! Text that comes from a container, on its way to a terminal, a log or a file: names of programs, ids, images, annotations.

use std::fmt::Write;

/// Returns true if a terminal could take the character for a command, or show the text around it in another order or on another line:
/// control characters (C0, DEL, C1), separators of lines and paragraphs, and the marks of bidirectional text (Unicode, UAX #9).
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line, with `?` for each character that could do something to a terminal.
pub fn printable(text: &str) -> String {
    // Nearly all text, and much faster than to look at each character's properties.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars()
        .map(|character| match is_dangerous(character) {
            true => '?',
            false => character,
        })
        .collect()
}

/// A JSON document that says the same in characters that do nothing to a terminal. `text` is JSON; line breaks between its values stay.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        // These three are the only such characters outside strings, and none of them may stand raw inside a string (RFC 8259, sections 2 and 7).
        if is_dangerous(character) && !matches!(character, '\n' | '\r' | '\t') {
            // All of them are in the basic multilingual plane.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(printable("sh\u{1b}[2J\r\n\u{9b}31m\u{7f}"), "sh?[2J???31m?");
        assert_eq!(printable("a\u{202e}b\u{2028}c"), "a?b?c");
        assert_eq!(printable("Käse 日本 🦀"), "Käse 日本 🦀");
    }

    #[test]
    fn json_says_the_same_without_raw_control_characters() {
        let text = "a\u{9b}31m\u{7f}\u{1b}\u{202e}\u{2028}ä\"\\";
        let value = serde_json::json!({ text: [text] });
        let safe = json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            value
        );
        assert!(
            safe.chars()
                .all(|character| character == '\n' || !is_dangerous(character)),
            "{safe:?}"
        );
    }
}
