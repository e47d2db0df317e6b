//! The text of errors.

use std::error::Error;

/// An error and its causes on one line. Most errors here already contain the text of their cause (`read FILE: no such file`); it is not repeated.
pub fn line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("read /a: {0}")]
    struct Telling(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("verify web")]
    struct Silent(#[source] Telling);

    #[test]
    fn a_cause_is_told_once() {
        let error = Telling(std::io::Error::other("gone"));
        assert_eq!(line(&error), "read /a: gone");
        assert_eq!(line(&Silent(error)), "verify web: read /a: gone");
    }
}
