//! A page of text that is being written: lines, headings, paragraphs, entries.

use super::printable::printable;
use super::styles::{Styles, styled};
use anstyle::Style;
use textwrap::{Options, WordSplitter, wrap};

/// The largest width of a line, if its words allow it.
pub(super) const WIDTH: usize = 80;

/// The page.
pub(super) struct Page<'a> {
    pub(super) text: String,
    pub(super) styles: &'a Styles,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub(super) fn new(styles: &'a Styles) -> Self {
        Self {
            text: String::new(),
            styles,
        }
    }

    /// A line whose parts are known to be printable, styles included.
    pub(super) fn styled(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A line as it is, however long.
    pub(super) fn line(&mut self, line: &str) {
        self.styled(&printable(line));
    }

    pub(super) fn heading(&mut self, heading: &str) {
        let line = styled(heading, self.styles.heading);
        self.text.push('\n');
        self.styled(&line);
    }

    /// Text from the first column on; the lines after the first are indented.
    pub(super) fn paragraph(&mut self, text: &str, style: Style) {
        self.wrapped(text, "", "  ", style);
    }

    /// A remark above lines to paste.
    pub(super) fn comment(&mut self, text: &str) {
        self.wrapped(text, "  # ", "  # ", Style::new());
    }

    /// An entry below a heading.
    pub(super) fn item(&mut self, text: &str, style: Style) {
        let words = text.trim_start();
        let indent = text.strip_suffix(words).unwrap_or_default();
        self.wrapped(
            words,
            &format!("  {indent}"),
            &format!("    {indent}"),
            style,
        );
    }

    /// Text below that of a label.
    pub(super) fn hanging(&mut self, indent: usize, text: &str, style: Style) {
        let indent = " ".repeat(indent);
        self.wrapped(text, &indent, &indent, style);
    }

    /// A label and text next to it. The label has a style.
    pub(super) fn labelled(&mut self, label: &str, text: &str, style: Style) {
        let indent = " ".repeat(label.chars().count().saturating_add(4));
        let lines = broken(text, &indent, &indent);
        for (index, line) in lines.iter().enumerate() {
            match (index, line.strip_prefix(&indent)) {
                (0, Some(text)) => {
                    let line = format!("  {}  {text}", styled(label, style));
                    self.styled(&line);
                }
                _ => self.styled(line),
            }
        }
    }

    fn wrapped(&mut self, text: &str, first: &str, further: &str, style: Style) {
        for line in broken(text, first, further) {
            let words = line.trim_start();
            let indent = line.strip_suffix(words).unwrap_or_default();
            let line = format!("{indent}{}", styled(words, style));
            self.styled(&line);
        }
    }
}

/// Breaks text into lines of the page's width. A longer word stays whole, because it may be a path or a name to copy.
fn broken(text: &str, first: &str, further: &str) -> Vec<String> {
    let options = Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(further)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    wrap(&printable(text), options)
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}
