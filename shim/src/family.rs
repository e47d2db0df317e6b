//! The families of low-level runtimes. A runtime has the command line, the defaults and the JSON parser of its family.

use std::fmt;
use std::path::Path;

/// One of the two kinds of runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// runc, and every other runtime that is not crun.
    Runc,
    /// crun.
    Crun,
}

impl Family {
    /// Both families, in the order in which capprof looks for a container's state.
    pub const ALL: [Self; 2] = [Self::Runc, Self::Crun];

    /// `runc` or `crun`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Runc => Self::Crun,
            Self::Crun => Self::Runc,
        }
    }

    /// The family that a runtime's answer to `--version` names: its first word ("crun version 1.8.1").
    pub fn of_version(answer: &[u8]) -> Option<Self> {
        let first = answer.split(u8::is_ascii_whitespace).next()?;
        Self::ALL
            .into_iter()
            .find(|family| family.name().as_bytes() == first)
    }

    /// The family that a file name suggests, for a runtime that does not report its own.
    pub fn of_name(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.windows(4).any(|part| part == b"crun") {
            Self::Crun
        } else {
            Self::Runc
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_says_in_its_first_word_what_it_is() {
        for (answer, family) in [
            ("runc version 1.1.5+ds1\ncommit: x\n", Some(Family::Runc)),
            ("crun version 1.8.1\nspec: 1.0.0\n", Some(Family::Crun)),
            ("youki version 0.5\n", None),
            ("", None),
            ("runcible\n", None),
        ] {
            assert_eq!(Family::of_version(answer.as_bytes()), family, "{answer}");
        }
    }

    #[test]
    fn a_file_name_suggests_the_family() {
        for (path, family) in [
            ("/usr/sbin/runc", Family::Runc),
            ("/usr/bin/crun", Family::Crun),
            ("/usr/bin/crun-wasm", Family::Crun),
            ("/opt/crun/youki", Family::Runc),
        ] {
            assert_eq!(Family::of_name(Path::new(path)), family, "{path}");
        }
    }
}
