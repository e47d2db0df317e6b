//! The errors of the SELinux recorder.

use super::{audit, policy};
use crate::lease;
use capprof_store::file;
use std::io;

/// The reason why the SELinux recorder cannot record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The host has no SELinux.
    #[error("arm the SELinux recorder: SELinux is off on this host")]
    Off,
    /// The recording verifies, so its container keeps the engine's label.
    #[error(
        "SELinux: the container ran under the engine's own label; capprof did not look for refusals of its type (ausearch -m AVC shows them)"
    )]
    Verifying,
    /// The shim made no label.
    #[error("arm the SELinux recorder: the recording has no label")]
    NoLabel,
    /// The policy has no levels: two recordings could not be told apart.
    #[error(
        "arm the SELinux recorder: the loaded policy has no levels (neither MCS nor MLS), so recordings cannot be told apart"
    )]
    NoLevels,
    /// The domain is not permissive, so it would refuse capabilities.
    #[error(
        "arm the SELinux recorder: {context} is not permissive: the loaded policy module is not capprof's, or not this version's (semodule -i capprof.cil)"
    )]
    NotPermissive {
        /// The label.
        context: String,
    },
    /// The policy did not answer.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A switch could not be thrown.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// Audit did not answer.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The booleans could not be listed.
    #[error("list /sys/fs/selinux/booleans: {source}")]
    Booleans {
        /// The reason.
        source: io::Error,
    },
    /// The access vector cache could not be emptied.
    #[error("flush the access vector cache: {source}")]
    Flush {
        /// The reason.
        source: io::Error,
    },
    /// The listener could not be started.
    #[error("start the audit listener: {source}")]
    Listener {
        /// The reason.
        source: io::Error,
    },
    /// The log could not be read, or a file of the recording could not be read or written.
    #[error(transparent)]
    File(#[from] file::Error),
}
