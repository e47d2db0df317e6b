//! Text that comes from the container.

/// Program names and arguments come from the container: they must not reach the terminal as escape sequences.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character.is_control() {
            true => '?',
            false => character,
        })
        .collect()
}
