//! The object of a system call that asked for a capability: the path, port, process, device or file system that it was about.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

// serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What a program gave a system call in which the kernel asked for a capability, as it was when it asked for the first time.
///
/// It is the program's claim: a relative path is relative to a directory that is not known, and the kernel may have asked about another file
/// on the way. What could not be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Object {
    /// The program's name.
    pub program: String,
    /// The system call's name.
    pub syscall: String,
    /// The path as the program passed it.
    #[serde(
        with = "crate::serde_path::optional",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub path: Option<PathBuf>,
    /// True if `path` is only the beginning of it.
    #[serde(skip_serializing_if = "is_false", default)]
    pub cut: bool,
    /// The type of a file system: `tmpfs`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_system: Option<String>,
    /// A device that was to be made, as mknod(1) writes it: `c 1:3`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<String>,
    /// The port of a socket address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// A process as the program numbers it; as kill(2) has it, 0 and negative numbers are groups of processes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub process: Option<i32>,
    /// The user to become, as the program numbers it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<u32>,
    /// The group to become, as the program numbers it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<u32>,
}

impl Object {
    /// How many objects a profile has of one capability, at most.
    pub const MOST: usize = 16;

    /// Adds objects that a list does not have yet, as far as it has room.
    pub fn add_to(list: &mut Vec<Self>, others: impl IntoIterator<Item = Self>) {
        for other in others {
            if list.len() < Self::MOST && !list.contains(&other) {
                list.push(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn what_is_not_known_is_not_written() {
        let object = Object {
            program: "nginx".to_owned(),
            syscall: "bind".to_owned(),
            port: Some(80),
            ..Object::default()
        };
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(text, r#"{"program":"nginx","syscall":"bind","port":80}"#);
        assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), object);
    }

    #[test]
    fn a_path_that_is_not_unicode_survives() {
        let object = Object {
            path: Some(OsString::from_vec(b"/a\xff".to_vec()).into()),
            cut: true,
            ..Object::default()
        };
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), object);
    }

    #[test]
    fn a_list_keeps_the_first_ones_and_no_object_twice() {
        let numbered = |number: usize| Object {
            process: i32::try_from(number).ok(),
            ..Object::default()
        };
        let mut list = vec![numbered(7)];
        Object::add_to(&mut list, (0..100).map(numbered));
        assert_eq!(list.len(), Object::MOST);
        assert_eq!(list[..3], [numbered(7), numbered(0), numbered(1)]);
    }
}
