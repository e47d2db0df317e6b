//! Prints tables.

use super::printable::printable;
use super::styles::Styles;

/// A table with these titles, each line with a newline; empty if there are no rows.
pub(crate) fn columns(titles: &[&str], rows: &[Vec<String>], styles: &Styles) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| {
            rows.iter()
                .chain([&titles])
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    let style = styles.heading;
    for (index, row) in [&titles].into_iter().chain(rows).enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{:width$}", printable(cell)))
            .collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        match index {
            0 => text.push_str(&format!("{style}{line}{style:#}\n")),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}
