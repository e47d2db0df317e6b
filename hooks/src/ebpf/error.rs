//! The errors of the eBPF recorder.

use capprof_store::file;
use libbpf_rs::ErrorKind;
use std::io;
use std::path::{Path, PathBuf};

/// An operation of the eBPF recorder that failed, with its object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// bpffs is not mounted, and could not be mounted.
    #[error("mount bpffs at {}: {source}", path.display())]
    Mount {
        /// The mount point.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The lock against two hooks that load at once, a control group, or a namespace of a process could not be opened.
    #[error(transparent)]
    File(#[from] file::Error),
    /// Every method of attaching was refused.
    #[error(
        "attach eBPF to cap_capable: {}; use Linux 6.14 or later, or a kernel with BTF and BPF trampolines or kprobes, or SELinux, \
         or run with a profile of another machine (io.capprof.mode=enforce)",
        refused.join("; ")
    )]
    Refused {
        /// Each method with its reason, a line each.
        refused: Vec<String>,
    },
    /// A pinned map, program or link could not be opened, written or removed.
    #[error("{operation} {}: {reason}", path.display())]
    Pin {
        /// The operation: `open`, `pin`, `remove`.
        operation: &'static str,
        /// The pin.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A map could not be changed.
    #[error("update eBPF map {map}: {reason}")]
    Update {
        /// The map's name.
        map: &'static str,
        /// The reason.
        reason: String,
    },
    /// This hook is not in the initial pid namespace, so it sees other process ids.
    #[error(
        "arm eBPF: this hook runs in a pid namespace of its own, whose process ids eBPF does not know"
    )]
    NestedPidNamespace,
    /// Another recording already has this process.
    #[error("process {pid} is recorded already, by recording {recording}: see capprofctl ps")]
    Recorded {
        /// Its id.
        pid: i32,
        /// The other recording's id.
        recording: String,
    },
    /// No property distinguishes the container's processes from the host's.
    #[error(
        "attach to process {pid}: it has neither a control group nor a pid namespace of its own, so its container cannot be told from the host"
    )]
    NoContainer {
        /// Its id.
        pid: i32,
    },
    /// The process ended before it could be armed.
    #[error("arm eBPF: process {pid} is gone")]
    Gone {
        /// Its id.
        pid: i32,
    },
}

impl Error {
    pub(super) fn pin(
        operation: &'static str,
        path: &Path,
        reason: &dyn std::fmt::Display,
    ) -> Self {
        Self::Pin {
            operation,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn update(map: &'static str, error: &libbpf_rs::Error) -> Self {
        Self::Update {
            map,
            reason: match error.kind() {
                // E2BIG: a map has no room (kernel/bpf/hashtab.c).
                ErrorKind::TooBig => {
                    "it is full: end recordings in progress, which capprofctl ps shows".to_owned()
                }
                _ => describe(error),
            },
        }
    }
}

/// An error of libbpf-rs on one line.
pub(crate) fn describe(error: &libbpf_rs::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
