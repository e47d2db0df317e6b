//! Shortens names and lists.

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
pub(super) fn shortened(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// An id as docker and podman show it, if it has their form.
pub(super) fn short_id(id: &str) -> String {
    match id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => id.chars().take(12).collect(),
        false => shortened(id, 24),
    }
}
