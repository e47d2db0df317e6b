//! A YAML file as text, with the places of its entries: edits touch whole lines and leave everything else as it is.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;
use std::ops::Range;

/// The reason why a file cannot be edited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is no YAML.
    #[error("line {line}: {what}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The parser's message.
        what: String,
    },
    /// It is written in a form that cannot be edited line by line.
    #[error("line {line}: {what} is written in braces: write it over several lines")]
    Flow {
        /// The line, from 1.
        line: usize,
        /// The part of the file that cannot be edited.
        what: String,
    },
    /// The edit would have changed something else.
    #[error(
        "the edit would change more than it should: edit it by hand, with the output of capprofctl report"
    )]
    Unsound,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// The line on which it begins, from 0.
    pub(super) line: usize,
    /// The column in which it begins, from 0.
    pub(super) column: usize,
    /// The line after its last.
    pub(super) end: usize,
    /// Its place in the text, in characters.
    pub(super) range: Range<usize>,
    /// True if it is a collection in brackets or braces.
    pub(super) flow: bool,
    anchor: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeKind {
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
    Alias(usize),
}

/// Nodes are equal if their content is, wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Node {
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> &[(Node, Node)] {
        match &self.kind {
            NodeKind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.kind {
            NodeKind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entry of a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        self.entries()
            .iter()
            .find(|(name, _)| name.scalar() == Some(key))
            .map(|(name, value)| (name, value))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns the node without these entries.
    pub(super) fn without(&self, keys: &[&str]) -> Self {
        let mut node = self.clone();
        if let NodeKind::Mapping(entries) = &mut node.kind {
            entries.retain(|(name, _)| name.scalar().is_none_or(|name| !keys.contains(&name)));
        }
        node
    }
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct YamlFile {
    pub(super) lines: Vec<String>,
    text: Vec<char>,
    /// The roots of its documents.
    pub(super) roots: Vec<Node>,
    anchors: BTreeMap<usize, Node>,
    edits: Vec<(Range<usize>, Vec<String>)>,
}

impl YamlFile {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut builder = Builder {
            text: text.chars().collect(),
            stack: Vec::new(),
            roots: Vec::new(),
            anchors: BTreeMap::new(),
        };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Error::Syntax {
                line: error.marker().line(),
                what: error.info().to_owned(),
            })?;
            builder.event(event, span);
        }
        Ok(Self {
            lines: text.lines().map(str::to_owned).collect(),
            text: builder.text,
            roots: builder.roots,
            anchors: builder.anchors,
            edits: Vec::new(),
        })
    }

    /// The source of a node.
    pub(super) fn source(&self, node: &Node) -> String {
        self.text
            .get(node.range.clone())
            .unwrap_or_default()
            .iter()
            .collect()
    }

    /// Returns true if a mapping has a key from the mappings that it merges (`<<`).
    pub(super) fn inherits(&self, mapping: &Node, key: &str) -> bool {
        let merged = mapping.get("<<");
        merged.is_some_and(|merged| match &merged.kind {
            NodeKind::Sequence(items) => items.iter().any(|item| self.has(item, key)),
            _ => self.has(merged, key),
        })
    }

    fn has(&self, node: &Node, key: &str) -> bool {
        let node = match &node.kind {
            NodeKind::Alias(anchor) => self.anchors.get(anchor).unwrap_or(node),
            _ => node,
        };
        node.entry(key).is_some() || self.inherits(node, key)
    }

    pub(super) fn replace(&mut self, lines: Range<usize>, with: Vec<String>) {
        self.edits.push((lines, with));
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, mapping: &Node, key: &str) {
        if let Some((name, value)) = mapping.entry(key) {
            self.replace(name.line..value.end.max(name.line + 1), Vec::new());
        }
    }

    /// Gives an entry a value on its own line, and keeps the comment after the former value; a new entry comes last.
    pub(super) fn set(&mut self, mapping: &Node, key: &str, value: &str) {
        let indent = " ".repeat(column(mapping));
        match mapping.entry(key) {
            Some((name, old)) => {
                let comment = match old.end <= name.line + 1 {
                    true => self.comment(name.line, old),
                    false => String::new(),
                };
                // The first entry of an item is on the line of its dash.
                let before: String = self
                    .lines
                    .get(name.line)
                    .map(|line| line.chars().take(name.column).collect())
                    .unwrap_or(indent);
                self.replace(
                    name.line..old.end.max(name.line + 1),
                    vec![format!("{before}{key}: {value}{comment}")],
                );
            }
            None => self.append(mapping, vec![format!("{indent}{key}: {value}")]),
        }
    }

    /// Adds lines after the last entry.
    pub(super) fn append(&mut self, mapping: &Node, lines: Vec<String>) {
        self.replace(mapping.end..mapping.end, lines);
    }

    /// Gives a list exactly these items, or adds them. Items that stay keep their lines; `same` normalizes a name for comparison.
    pub(super) fn set_list(
        &mut self,
        mapping: &Node,
        key: &str,
        wanted: &[String],
        (exact, same): (bool, fn(&str) -> String),
    ) {
        let has = |items: &[Node], one: &str| {
            items
                .iter()
                .filter_map(Node::scalar)
                .any(|item| same(item) == same(one))
        };
        let old = mapping.get(key).cloned();
        let items = old.as_ref().map_or(&[] as &[Node], Node::items);
        let missing: Vec<String> = wanted
            .iter()
            .filter(|one| !has(items, one))
            .cloned()
            .collect();
        let gone = |item: &Node| {
            exact
                && item
                    .scalar()
                    .is_none_or(|item| !wanted.iter().any(|one| same(one) == same(item)))
        };
        if missing.is_empty() && !items.is_empty() && !items.iter().any(gone) {
            return;
        }
        if wanted.is_empty() && exact {
            return match self.inherits(mapping, key) {
                true => self.set(mapping, key, "[]"),
                false => self.remove(mapping, key),
            };
        }
        match &old {
            Some(list) if !list.flow && items.iter().any(|item| !gone(item)) => {
                for item in items.iter().filter(|item| gone(item)) {
                    self.replace(item.line..item.end, Vec::new());
                }
                let indent = self
                    .lines
                    .get(list.line)
                    .map(|line| line.len() - line.trim_start().len())
                    .unwrap_or_default();
                let lines = missing
                    .iter()
                    .map(|item| format!("{}- {}", " ".repeat(indent), quoted(item)))
                    .collect();
                self.replace(list.end..list.end, lines);
            }
            _ => {
                let kept = items
                    .iter()
                    .filter(|item| !gone(item))
                    .map(|item| self.source(item));
                let all: Vec<String> = kept
                    .chain(missing.iter().map(|item| quoted(item)))
                    .collect();
                self.set(mapping, key, &format!("[{}]", all.join(", ")));
            }
        }
    }

    /// The rest of a value's line: blanks and a comment.
    fn comment(&self, line: usize, value: &Node) -> String {
        let start: usize = self
            .lines
            .iter()
            .take(line)
            .map(|line| line.chars().count() + 1)
            .sum();
        let rest: String = self
            .lines
            .get(line)
            .map(|text| {
                text.chars()
                    .skip(value.range.end.saturating_sub(start))
                    .collect()
            })
            .unwrap_or_default();
        match rest.trim_start().starts_with('#') {
            true => format!(" {}", rest.trim()),
            false => String::new(),
        }
    }

    /// Returns the text with all edits. It keeps its line breaks, and ends with one only if it did before.
    pub(super) fn text(mut self, original: &str) -> String {
        // From the end backwards, so that line numbers stay valid. Edits in one place keep their order.
        self.edits
            .sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
        for (range, lines) in merged(self.edits) {
            let range = range.start.min(self.lines.len())..range.end.min(self.lines.len());
            self.lines.splice(range, lines);
        }
        let end = match original.ends_with('\n') {
            true => "\n",
            false => "",
        };
        self.lines.join("\n") + end
    }
}

/// Joins insertions in one place: the deeper ones come first, the others in the order in which they were made.
fn merged(edits: Vec<(Range<usize>, Vec<String>)>) -> Vec<(Range<usize>, Vec<String>)> {
    let depth = |lines: &Vec<String>| {
        lines
            .first()
            .map_or(0, |line| line.len() - line.trim_start().len())
    };
    let mut all: Vec<(Range<usize>, Vec<Vec<String>>)> = Vec::new();
    for (range, lines) in edits {
        match all.last_mut() {
            Some((last, known)) if *last == range && range.is_empty() => known.push(lines),
            _ => all.push((range, vec![lines])),
        }
    }
    all.into_iter()
        .map(|(range, mut parts)| {
            parts.sort_by_key(|lines| std::cmp::Reverse(depth(lines)));
            (range, parts.concat())
        })
        .collect()
}

/// The column of a mapping's keys.
fn column(mapping: &Node) -> usize {
    mapping
        .entries()
        .first()
        .map_or(mapping.column, |(name, _)| name.column)
}

/// A string in double quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Builder {
    text: Vec<char>,
    /// Open collections, each with its children.
    stack: Vec<(Node, Vec<Node>)>,
    roots: Vec<Node>,
    anchors: BTreeMap<usize, Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) {
        let node = |kind, anchor, flow| {
            let start = span.start;
            // A block scalar ends at the beginning of a line that is not its own.
            let last = match span.end.col() == 0 && span.end.line() > start.line() {
                true => span.end.line().saturating_sub(1),
                false => span.end.line(),
            };
            Node {
                kind,
                line: start.line().saturating_sub(1),
                column: start.col(),
                end: last,
                range: start.index()..span.end.index(),
                flow,
                anchor,
            }
        };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let mut scalar = node(NodeKind::Scalar(text.into_owned()), anchor, false);
                // For an empty value the parser reports the position that it has read on to.
                if scalar.range.is_empty() {
                    scalar.end = 0;
                }
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    scalar.end = self.block_end(&scalar);
                }
                self.done(scalar);
            }
            Event::Alias(anchor) => self.done(node(NodeKind::Alias(anchor), 0, false)),
            Event::SequenceStart(anchor, _) => {
                let flow = self.text.get(span.start.index()) == Some(&'[');
                self.stack.push((
                    node(NodeKind::Sequence(Vec::new()), anchor, flow),
                    Vec::new(),
                ));
            }
            Event::MappingStart(anchor, _) => {
                let flow = self.text.get(span.start.index()) == Some(&'{');
                self.stack.push((
                    node(NodeKind::Mapping(Vec::new()), anchor, flow),
                    Vec::new(),
                ));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => {}
        }
    }

    /// The line after the last one of a block scalar that is not empty.
    fn block_end(&self, scalar: &Node) -> usize {
        let mut end = scalar.end.max(scalar.line + 1);
        let text: String = self.text.iter().collect();
        let lines: Vec<&str> = text.lines().collect();
        while end > scalar.line + 1 && lines.get(end - 1).is_none_or(|line| line.trim().is_empty())
        {
            end -= 1;
        }
        end
    }

    fn close(&mut self, span: Span) {
        let Some((mut node, children)) = self.stack.pop() else {
            return;
        };
        match node.flow {
            true => {
                node.end = span.end.line();
                node.range.end = span.end.index();
            }
            // At the end of a block the parser has already read on to the next token.
            false => {
                node.end = children
                    .iter()
                    .map(|child| child.end)
                    .max()
                    .unwrap_or(node.line + 1);
                node.range.end = children
                    .last()
                    .map_or(node.range.end, |child| child.range.end);
            }
        }
        node.kind = match node.kind {
            NodeKind::Mapping(_) => {
                let mut children = children.into_iter();
                let mut entries = Vec::new();
                while let (Some(key), Some(value)) = (children.next(), children.next()) {
                    entries.push((key, value));
                }
                NodeKind::Mapping(entries)
            }
            _ => NodeKind::Sequence(children),
        };
        self.done(node);
    }

    fn done(&mut self, node: Node) {
        if node.anchor != 0 {
            self.anchors.insert(node.anchor, node.clone());
        }
        match self.stack.last_mut() {
            Some((_, children)) => children.push(node),
            None => self.roots.push(node),
        }
    }
}
