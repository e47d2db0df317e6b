//! Values of sysctls that can stand in a command line.

use super::super::printable::printable;
use capprof_profile::privileges::Sysctl;

/// The value that a sysctl must have when the container starts. `None` if it is not known, or cannot be set then: a sysctl of a single network
/// interface does not exist yet.
pub(super) fn set_to(sysctl: &Sysctl) -> Option<&str> {
    let mut values = sysctl.values.iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let parts: Vec<&str> = sysctl.name.split('.').collect();
    let of_interface = matches!(
        parts.as_slice(),
        ["net", _, "conf" | "neigh", interface, ..] if !["all", "default", "lo"].contains(interface)
    );
    let plain = !value.is_empty() && is_plain(value, "._-/: ,") && is_plain(&sysctl.name, "._-");
    (plain && !of_interface && printable(value) == *value).then_some(value)
}

/// Returns true if the text has only letters, digits and these marks.
pub(super) fn is_plain(text: &str, marks: &str) -> bool {
    text.chars()
        .all(|letter| letter.is_ascii_alphanumeric() || marks.contains(letter))
}
