//! Shortens names and lists.

use std::borrow::Cow;

/// The first two names, and how many more there are.
pub(crate) fn first_few(names: &[String]) -> String {
    match names {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one}, {two}"),
        [one, two, rest @ ..] => format!("{one}, {two}, +{}", rest.len()),
    }
}

/// At most this many characters. The last one shows that something is missing.
pub(super) fn shortened(text: &str, length: usize) -> Cow<'_, str> {
    if text.len() <= length || text.chars().count() <= length {
        return text.into();
    }
    let mut short: String = text.chars().take(length.saturating_sub(1)).collect();
    short.push('…');
    short.into()
}

/// An id as docker and podman show it, if it has their form.
pub(super) fn short_id(id: &str) -> Cow<'_, str> {
    let is_theirs = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match id.get(..12).filter(|_| is_theirs) {
        Some(begin) => begin.into(),
        None => shortened(id, 24),
    }
}
