//! Terminal styles of the parts of a report.

use super::printable::printable;
use anstyle::{AnsiColor, Style};

/// The styles of a report's parts. The default has no escape sequences, for files and pipes; [`Styles::coloured`] is for terminals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Styles {
    pub(super) heading: Style,
    pub(super) capability: Style,
    pub(super) warning: Style,
    pub(super) faint: Style,
}

impl Styles {
    /// ANSI escape sequences.
    pub(crate) fn coloured() -> Self {
        Self {
            heading: Style::new().bold(),
            capability: AnsiColor::Green.on_default().bold(),
            warning: AnsiColor::Red.on_default().bold(),
            faint: Style::new().dimmed(),
        }
    }
}

/// Printable text in a style.
pub(super) fn styled(text: &str, style: Style) -> String {
    format!("{style}{}{style:#}", printable(text))
}
