//! Capabilities and images as they stand in forms.

use super::workload::Workload;
use capprof_profile::{Capability, CapabilitySet};

pub(super) fn full_names(set: CapabilitySet, separator: &str) -> String {
    set.iter()
        .map(|capability| capability.to_string())
        .collect::<Vec<_>>()
        .join(separator)
}

pub(super) fn short_names(set: CapabilitySet) -> Vec<String> {
    set.iter().map(Capability::short_name).collect()
}

/// The image's name, if it can stand in a command line as it is.
pub(super) fn image<'a>(workload: &Workload<'a>) -> &'a str {
    workload
        .image
        .filter(|image| is_plain(image) && !image.starts_with('-'))
        .unwrap_or("IMAGE")
}

pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._-/:@".contains(character))
}
