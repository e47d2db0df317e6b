//! A page of text that is being written: lines, headings, tables.

use super::printable::printable;
use super::styles::{Styles, styled};
use anstyle::Style;
use std::fmt::Write;

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

    pub(super) fn line(&mut self, line: &str) {
        self.styled(&printable(line));
    }

    pub(super) fn heading(&mut self, heading: &str) {
        let line = styled(heading, self.styles.heading);
        self.text.push('\n');
        self.styled(&line);
    }

    /// Rows with their notes below; the column of numbers to the right.
    pub(super) fn table(
        &mut self,
        titles: &[&str],
        numbers: usize,
        rows: Vec<(Vec<String>, Vec<String>)>,
    ) {
        if rows.is_empty() {
            return;
        }
        let titles = titles.iter().map(|title| (*title).to_owned()).collect();
        let rows: Vec<(Vec<String>, Vec<String>)> =
            [(titles, Vec::new())].into_iter().chain(rows).collect();
        let widths = widths(rows.iter().map(|(row, _)| row));
        for (index, (row, notes)) in rows.iter().enumerate() {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                let style = match (index, column) {
                    (0, _) => self.styles.faint,
                    (_, 0) => self.styles.capability,
                    _ => Style::new(),
                };
                let cell = styled(cell, style);
                let _ = match column == numbers {
                    true => write!(line, " {padding}{cell} "),
                    false if column + 1 == row.len() => write!(line, " {cell}"),
                    false => write!(line, " {cell}{padding} "),
                };
            }
            self.styled(&line);
            for note in notes {
                let note = styled(&format!("      {note}"), self.styles.faint);
                self.styled(&note);
            }
        }
    }
}

/// The width of each column.
pub(super) fn widths<'a>(rows: impl Iterator<Item = &'a Vec<String>> + Clone) -> Vec<usize> {
    let columns = rows.clone().map(Vec::len).max().unwrap_or_default();
    (0..columns)
        .map(|column| {
            rows.clone()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect()
}
